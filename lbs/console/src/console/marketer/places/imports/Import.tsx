import '../texts'
import { Button, Group, NumberInput, Paper, SegmentedControl, Stack, Tabs, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { Columns } from './Columns'
import { Drop } from './Drop'
import type { Kind, Mapping } from './mapping'
import { Preview } from './Preview'
import { Progress } from './Progress'
import { Result } from './Result'
import { type Options, useImport } from './useImport'

const USUAL_RADIUS_M = 80

/** A file of stores or fences: chosen, looked at as it would be stored, and taken in. */
export default function Import() {
  const { t } = useTranslation('places')
  const [params, setParams] = useSearchParams()
  const kind: Kind = params.get('kind') === 'fences' ? 'fences' : 'stores'
  return (
    <Page title={t('imports.title')} lead={t('imports.lead')}>
      <Tabs value={kind} onChange={(value) => setParams({ kind: String(value) }, { replace: true })}>
        <Tabs.List mb="md">
          <Tabs.Tab value="stores">{t('stores.title')}</Tabs.Tab>
          <Tabs.Tab value="fences">{t('fences.title')}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value={kind}>
          <OneKind key={kind} kind={kind} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  )
}

type Wanted = Omit<Options, 'dryRun' | 'kind' | 'file'>
const USUAL: Wanted = { radiusM: USUAL_RADIUS_M, profile: 'standard', mapping: {} }

function OneKind({ kind }: { kind: Kind }) {
  const { t } = useTranslation('places')
  const [file, setFile] = useState<File | null>(null)
  const [wanted, setWanted] = useState<Wanted>(USUAL)
  const check = useImport()
  const taking = useImport()
  const begin = (chosen: File, wanted: Wanted) => check.start({ kind, file: chosen, ...wanted, dryRun: true })
  const choose = (chosen: File) => {
    const fresh = { ...wanted, mapping: {} }
    setFile(chosen)
    setWanted(fresh)
    taking.forget()
    begin(chosen, fresh)
  }
  const change = (part: Partial<Wanted>) => setWanted((before) => ({ ...before, ...part }))
  if (taking.found?.state === 'done' && taking.found.report) {
    return (
      <Result
        kind={kind}
        report={taking.found.report}
        again={() => {
          setFile(null)
          setWanted(USUAL)
          check.forget()
          taking.forget()
        }}
      />
    )
  }
  const checked = check.found?.state === 'done' ? check.found : null
  const stale = checked !== null && check.sent !== null && !same(check.sent, wanted)
  return (
    <Stack>
      <Drop kind={kind} file={file} onFile={choose} disabled={taking.busy} />
      {file && (
        <Paper withBorder p="md" component="section">
          <Title order={2} size="h5" mb="xs">
            {t('imports.options')}
          </Title>
          <Choices kind={kind} wanted={wanted} change={change} />
          {check.found?.preview && (
            <Columns
              kind={kind}
              columns={check.found.preview.columns}
              mapping={wanted.mapping}
              onChange={(mapping: Mapping) => change({ mapping })}
            />
          )}
        </Paper>
      )}
      {check.busy && <Progress found={check.found} />}
      {check.error && <ProblemNote error={check.error} />}
      {check.found && check.found.state !== 'done' && <Failed found={check.found} />}
      {file && check.found?.preview && checked?.report && (
        <Preview kind={kind} preview={check.found.preview} report={checked.report} />
      )}
      {taking.busy && <Progress found={taking.found} />}
      {taking.error && <ProblemNote error={taking.error} />}
      {taking.found && <Failed found={taking.found} />}
      {file && (
        <Group justify="flex-end">
          {(stale || checked === null) && (
            <Button variant="default" loading={check.busy} onClick={() => begin(file, wanted)}>
              {t('imports.check')}
            </Button>
          )}
          <Button
            disabled={checked === null || stale || (checked.preview?.accepted ?? 0) === 0}
            loading={taking.busy}
            onClick={() => taking.start({ kind, file, ...wanted, dryRun: false })}
          >
            {t('imports.go', { count: checked?.preview?.accepted ?? 0 })}
          </Button>
        </Group>
      )}
    </Stack>
  )
}

const same = (sent: Wanted, wanted: Wanted) =>
  sent.radiusM === wanted.radiusM &&
  sent.profile === wanted.profile &&
  JSON.stringify(sent.mapping) === JSON.stringify(wanted.mapping)

function Failed({ found }: { found: { state: string; error: string | null } }) {
  const { t } = useTranslation('places')
  if (found.state === 'interrupted') return <ProblemNote error={new Error(t('imports.interrupted'))} />
  return found.state === 'failed' ? <ProblemNote error={new Error(found.error ?? t('imports.failed'))} /> : null
}

function Choices({ kind, wanted, change }: { kind: Kind; wanted: Wanted; change: (part: Partial<Wanted>) => void }) {
  const { t } = useTranslation('places')
  const fences = kind === 'fences' || wanted.radiusM !== null
  return (
    <Group align="flex-end" gap="md">
      {kind === 'stores' && (
        <>
          <Stack gap={4}>
            <Text size="sm" fw={500} id="with-fences">
              {t('imports.with_fences')}
            </Text>
            <SegmentedControl
              aria-labelledby="with-fences"
              value={wanted.radiusM === null ? 'no' : 'yes'}
              onChange={(value) => change({ radiusM: value === 'yes' ? USUAL_RADIUS_M : null })}
              data={[
                { value: 'yes', label: t('imports.fences_yes') },
                { value: 'no', label: t('imports.fences_no') },
              ]}
            />
          </Stack>
          {wanted.radiusM !== null && (
            <NumberInput
              label={t('fence.radius')}
              w={130}
              min={1}
              max={100_000}
              suffix=" m"
              value={wanted.radiusM}
              onChange={(value) => typeof value === 'number' && value >= 1 && change({ radiusM: value })}
            />
          )}
        </>
      )}
      {fences && (
        <Stack gap={4}>
          <Text size="sm" fw={500} id="fence-profile">
            {t('fence.profile')}
          </Text>
          <SegmentedControl
            aria-labelledby="fence-profile"
            value={wanted.profile}
            onChange={(value) => change({ profile: value as Wanted['profile'] })}
            data={[
              { value: 'standard', label: t('profile.standard') },
              { value: 'plain', label: t('profile.plain') },
            ]}
          />
        </Stack>
      )}
    </Group>
  )
}
