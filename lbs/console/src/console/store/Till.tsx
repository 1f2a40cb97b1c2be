// The till: a code, what it is worth, redeemed. The code's field keeps the focus, so that a hand scanner can go on by itself.
import { Grid, Stack } from '@mantine/core'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useSearchParams } from 'react-router'
import { Asked } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { type Store, StoreSelect, useStores } from './stores'
import './texts'
import { CodeField } from './till/CodeField'
import { OrderForm } from './till/OrderForm'
import { Done, Refused } from './till/Outcome'
import { Statement } from './till/Statement'
import { type Step, usePrepare } from './till/steps'

const KEPT = 'lbs.till.store'

export default function Till() {
  const { t } = useTranslation('store')
  const query = useStores()
  const [params, setParams] = useSearchParams()
  return (
    <Asked query={query}>
      {(stores) => {
        const wanted = params.get('store') ?? localStorage.getItem(KEPT)
        const store = stores.find((one) => one.store_id === wanted) ?? (stores.length === 1 ? stores[0] : undefined)
        return (
          <Page
            title={t('till.title')}
            lead={store ? store.name || store.external_id : t('till.choose_first')}
            actions={
              stores.length > 1 && (
                <StoreSelect
                  stores={stores}
                  value={store?.store_id ?? null}
                  onChange={(storeId) => {
                    localStorage.setItem(KEPT, storeId)
                    setParams({ store: storeId }, { replace: true })
                  }}
                />
              )
            }
          >
            {store && <AtStore key={store.store_id} store={store} />}
          </Page>
        )
      }}
    </Asked>
  )
}

function AtStore({ store }: { store: Store }) {
  const [step, setStep] = useState<Step>({ at: 'ask' })
  const prepare = usePrepare(store, setStep)
  return (
    <Grid gap="xl">
      <Grid.Col span={{ base: 12, md: 7 }}>
        <Stack gap="lg">
          <CodeField step={step} pending={prepare.isPending} onCode={(code) => prepare.mutate(code)} />
          {step.at === 'prepared' && (
            <OrderForm key={step.preparation.prepare_token} store={store} step={step} go={setStep} />
          )}
          {step.at === 'refused' && (
            <Refused
              store={store}
              step={step}
              again={() => (step.code ? prepare.mutate(step.code) : setStep({ at: 'ask' }))}
            />
          )}
          {step.at === 'done' && <Done store={store} step={step} go={setStep} />}
        </Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5 }}>
        <Statement store={store} />
      </Grid.Col>
    </Grid>
  )
}
