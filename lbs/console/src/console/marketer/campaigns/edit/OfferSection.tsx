import { NumberInput, SegmentedControl, SimpleGrid, Stack, Textarea, TextInput } from '@mantine/core'
import { useTranslation } from 'react-i18next'
import { type Offer } from '../model'
import { TEXTS } from '../texts'
import { DurationField, type SectionProps } from './fields'

const KINDS: readonly Offer['kind'][] = ['percentage', 'amount', 'gift', 'other']

/** What the shopper gets. */
export function OfferSection({ form }: SectionProps) {
  const { t } = useTranslation(TEXTS)
  const { offer, budget } = form.values
  const currency = {
    ...form.getInputProps('offer.currency'),
    value: offer.currency ?? '',
    onChange: (event: { currentTarget: HTMLInputElement }) =>
      form.setFieldValue('offer.currency', event.currentTarget.value.toUpperCase()),
  }
  return (
    <Stack gap="sm">
      <SegmentedControl
        aria-label={t('edit.offer.kind')}
        value={offer.kind}
        onChange={(kind) => form.setFieldValue('offer.kind', kind as Offer['kind'])}
        data={KINDS.map((kind) => ({ value: kind, label: t(`edit.offer.${kind}`) }))}
        style={{ flexWrap: 'wrap' }}
      />
      <SimpleGrid cols={{ base: 1, sm: 3 }}>
        {offer.kind !== 'gift' && (
          <NumberInput
            label={t(offer.kind === 'percentage' ? 'edit.offer.percent' : 'edit.offer.value')}
            suffix={offer.kind === 'percentage' ? ' %' : ''}
            min={0}
            {...(offer.kind === 'percentage' ? { max: 100 } : {})}
            decimalScale={2}
            required={offer.kind !== 'other'}
            {...form.getInputProps('offer.value')}
            value={offer.value ?? ''}
          />
        )}
        <TextInput
          label={t('edit.offer.currency')}
          placeholder="EUR"
          maxLength={3}
          required={offer.kind === 'amount'}
          {...currency}
        />
        <NumberInput
          label={t('edit.offer.min_spend')}
          min={0}
          decimalScale={2}
          {...form.getInputProps('offer.min_spend')}
          value={offer.min_spend ?? ''}
        />
      </SimpleGrid>
      <Textarea
        label={t('edit.offer.terms')}
        autosize
        minRows={2}
        maxLength={4000}
        {...form.getInputProps('offer.terms')}
        value={offer.terms ?? ''}
      />
      <SimpleGrid cols={{ base: 1, sm: 2 }}>
        <TextInput
          label={t('edit.offer.image')}
          type="url"
          placeholder="https://"
          {...form.getInputProps('offer.image_url')}
          value={offer.image_url ?? ''}
        />
        <TextInput
          label={t('edit.offer.link')}
          description={t('edit.offer.link_hint')}
          inputWrapperOrder={['label', 'input', 'description', 'error']}
          {...form.getInputProps('offer.deep_link')}
          value={offer.deep_link ?? ''}
        />
        <DurationField
          label={t('edit.offer.valid')}
          description={t('edit.offer.valid_hint')}
          value={offer.valid_after_claim_s}
          onChange={(seconds) => form.setFieldValue('offer.valid_after_claim_s', seconds)}
          error={form.errors['offer.valid_after_claim_s']}
        />
        {(budget !== null || offer.max_cost != null) && (
          <NumberInput
            label={t('edit.offer.max_cost')}
            description={t('edit.offer.max_cost_hint')}
            min={0}
            decimalScale={2}
            {...form.getInputProps('offer.max_cost')}
            value={offer.max_cost ?? ''}
          />
        )}
      </SimpleGrid>
    </Stack>
  )
}
