// The shoppers' app: first whose shop it is, then what the person agrees to, then the offers.
import { lazy, Suspense } from 'react'
import { BrowserRouter, Route, Routes } from 'react-router'
import { useTranslation } from 'react-i18next'
import { Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ThisPhone, useMine } from './device'
import { Locates } from './Place'
import { Shell } from './Shell'
import { Welcome } from './Welcome'
import { WhichShop } from './WhichShop'

const Nearby = lazy(() => import('./Nearby'))
const Offer = lazy(() => import('./Offer'))
const Inbox = lazy(() => import('./Inbox'))
const Claims = lazy(() => import('./Claims'))
const Claim = lazy(() => import('./Claim'))
const Me = lazy(() => import('./Me'))
const MyData = lazy(() => import('./MyData'))
const Pairing = lazy(() => import('./Pairing'))

export function App() {
  return (
    <ThisPhone>
      <BrowserRouter basename="/app">
        <Begun />
      </BrowserRouter>
    </ThisPhone>
  )
}

function Begun() {
  const { t } = useTranslation('shared')
  const { key, device } = useMine()
  if (key === null) return <WhichShop />
  if (device === null) return <Welcome />
  return (
    <Locates key={device.id}>
      <Shell>
        <Suspense fallback={<Loading />}>
          <Routes>
            <Route path="/" element={<Nearby />} />
            <Route path="/offers/:storeId/:campaignId" element={<Offer />} />
            <Route path="/inbox" element={<Inbox />} />
            <Route path="/claims" element={<Claims />} />
            <Route path="/claims/:claimId" element={<Claim />} />
            <Route path="/me" element={<Me />} />
            <Route path="/me/data" element={<MyData />} />
            <Route path="/me/background" element={<Pairing />} />
            <Route path="*" element={<Page title="404">{t('not_found')}</Page>} />
          </Routes>
        </Suspense>
      </Shell>
    </Locates>
  )
}
