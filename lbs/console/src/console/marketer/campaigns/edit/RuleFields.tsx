// One rule of an audience and those within it.
import {
  ActionIcon,
  Button,
  Group,
  NumberInput,
  Paper,
  SegmentedControl,
  Select,
  Stack,
  Switch,
  TagsInput,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconTrash } from '@tabler/icons-react'
import { useTranslation } from 'react-i18next'
import { type Rule, type Scalar } from '../model'
import {
  type Comparison,
  COMPARISONS,
  compared,
  comparisonOf,
  type Group as RuleGroup,
  groupOf,
  MAX_DEPTH,
  NEW_LEAF,
  retyped,
  typeOf,
  type ValueType,
} from '../rules'
import { TEXTS } from '../texts'

interface Props {
  rule: Rule
  depth: number
  onChange: (rule: Rule) => void
  onRemove?: () => void
}

export function RuleFields(props: Props) {
  const { rule, onChange, onRemove, depth } = props
  const group = groupOf(rule)
  if (group) return <GroupFields {...props} group={group} />
  if (rule.not) {
    return (
      <Negated onChange={() => rule.not && onChange(rule.not)}>
        <RuleFields
          rule={rule.not}
          depth={depth + 1}
          onChange={(not) => onChange({ not })}
          {...(onRemove ? { onRemove } : {})}
        />
      </Negated>
    )
  }
  return <LeafFields {...props} />
}

function Negated({ children, onChange }: { children: React.ReactNode; onChange: () => void }) {
  const { t } = useTranslation(TEXTS)
  return (
    <Stack gap={4}>
      <Switch size="xs" checked label={t('edit.audience.not')} onChange={onChange} />
      {children}
    </Stack>
  )
}

function GroupFields({ rule, group, depth, onChange, onRemove }: Props & { group: RuleGroup }) {
  const { t } = useTranslation(TEXTS)
  const parts = rule[group] ?? []
  const put = (changed: Rule[]) => onChange({ [group]: changed })
  const remove = (index: number) => put(parts.filter((_, at) => at !== index))
  return (
    <Paper withBorder p="sm" radius="sm" role="group" aria-label={t(`edit.audience.${group}`)}>
      <Stack gap="sm">
        <Group justify="space-between" gap="xs">
          <SegmentedControl
            size="xs"
            aria-label={t('edit.audience.how')}
            value={group}
            onChange={(chosen) => onChange({ [chosen]: parts })}
            data={['all', 'any'].map((one) => ({ value: one, label: t(`edit.audience.${one}`) }))}
          />
          {onRemove && <Remove onClick={onRemove} />}
        </Group>
        {parts.map((part, index) => (
          <RuleFields
            key={index}
            rule={part}
            depth={depth + 1}
            onChange={(changed) => put(parts.map((one, at) => (at === index ? changed : one)))}
            {...(parts.length > 1 ? { onRemove: () => remove(index) } : {})}
          />
        ))}
        <Group gap="xs">
          <Add label={t('edit.audience.add')} onClick={() => put([...parts, NEW_LEAF])} />
          {depth < MAX_DEPTH - 1 && (
            <Add
              label={t('edit.audience.add_group')}
              onClick={() => put([...parts, { [group === 'all' ? 'any' : 'all']: [NEW_LEAF] }])}
            />
          )}
        </Group>
      </Stack>
    </Paper>
  )
}

function Add({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <Button size="compact-xs" variant="light" leftSection={<IconPlus size={14} aria-hidden />} onClick={onClick}>
      {label}
    </Button>
  )
}

function Remove({ onClick }: { onClick: () => void }) {
  const { t } = useTranslation(TEXTS)
  return (
    <ActionIcon variant="subtle" color="gray" aria-label={t('edit.audience.remove')} onClick={onClick}>
      <IconTrash size={16} aria-hidden />
    </ActionIcon>
  )
}

function LeafFields({ rule, onChange, onRemove, depth }: Props) {
  const { t } = useTranslation(TEXTS)
  const comparison = comparisonOf(rule)
  return (
    <Group gap="xs" align="flex-end">
      <TextInput
        label={t('edit.audience.attribute')}
        placeholder="tier"
        w={{ base: '100%', xs: 150 }}
        maxLength={200}
        value={rule.attribute ?? ''}
        onChange={(event) => onChange({ ...rule, attribute: event.currentTarget.value })}
      />
      <Select
        label={t('edit.audience.comparison')}
        w={{ base: '100%', xs: 170 }}
        allowDeselect={false}
        data={COMPARISONS.map((one) => ({ value: one, label: t(`edit.audience.compare.${one}`) }))}
        value={comparison}
        onChange={(chosen) => onChange(compared(rule, chosen as Comparison))}
      />
      <ValueFields rule={rule} comparison={comparison} onChange={onChange} />
      <Group gap={4} wrap="nowrap" mb={4}>
        {depth < MAX_DEPTH && (
          <Switch size="xs" label={t('edit.audience.not')} checked={false} onChange={() => onChange({ not: rule })} />
        )}
        {onRemove && <Remove onClick={onRemove} />}
      </Group>
    </Group>
  )
}

const TYPES: readonly ValueType[] = ['text', 'number', 'yes_no']

function ValueFields({
  rule,
  comparison,
  onChange,
}: {
  rule: Rule
  comparison: Comparison
  onChange: (rule: Rule) => void
}) {
  const { t } = useTranslation(TEXTS)
  const put = (value: Scalar | Scalar[]) => onChange({ attribute: rule.attribute ?? '', [comparison]: value })
  const label = t('edit.audience.value')
  switch (comparison) {
    case 'exists':
      return <YesNo label={label} value={rule.exists ?? true} onChange={put} />
    case 'starts_with':
      return (
        <TextInput
          label={label}
          w={150}
          value={rule.starts_with ?? ''}
          onChange={(event) => put(event.currentTarget.value)}
        />
      )
    case 'one_of': {
      const values = rule.one_of ?? []
      const type = values[0] === undefined ? 'text' : typeOf(values[0])
      return (
        <TagsInput
          label={label}
          description={t('edit.audience.values_hint')}
          inputWrapperOrder={['label', 'input', 'description']}
          miw={180}
          value={values.map(String)}
          onChange={(typed) =>
            put(
              typed.map((one) =>
                type === 'number' || isNumber(one) ? retyped(one, isNumber(one) ? 'number' : 'text') : one,
              ),
            )
          }
        />
      )
    }
    case 'is':
    case 'has': {
      const value = rule[comparison] ?? ''
      const type = typeOf(value)
      return (
        <>
          <Select
            label={t('edit.audience.type')}
            w={110}
            allowDeselect={false}
            data={TYPES.map((one) => ({ value: one, label: t(`edit.audience.types.${one}`) }))}
            value={type}
            onChange={(chosen) => put(retyped(value, chosen as ValueType))}
          />
          {typeof value === 'boolean' ? (
            <YesNo label={label} value={value} onChange={put} />
          ) : typeof value === 'number' ? (
            <NumberInput label={label} w={130} value={value} onChange={(typed) => put(Number(typed) || 0)} />
          ) : (
            <TextInput label={label} w={150} value={value} onChange={(event) => put(event.currentTarget.value)} />
          )}
        </>
      )
    }
    default:
      return (
        <NumberInput
          label={label}
          w={130}
          value={rule[comparison] ?? 0}
          onChange={(typed) => put(Number(typed) || 0)}
        />
      )
  }
}

const isNumber = (text: string) => text.trim() !== '' && Number.isFinite(Number(text))

function YesNo({ label, value, onChange }: { label: string; value: boolean; onChange: (value: boolean) => void }) {
  const { t } = useTranslation(TEXTS)
  return (
    <Select
      label={label}
      w={100}
      allowDeselect={false}
      data={[
        { value: 'true', label: t('yes') },
        { value: 'false', label: t('no') },
      ]}
      value={String(value)}
      onChange={(chosen) => onChange(chosen === 'true')}
    />
  )
}
