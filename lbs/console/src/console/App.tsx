// The console: who is not signed in signs in; everybody else finds the pages of their role.
import { lazy, Suspense, useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { createBrowserRouter, Navigate, Route, RouterProvider, Routes } from 'react-router'
import { Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { Invite } from './Invite'
import { pages as marketer } from './marketer/pages'
import { pages as operator } from './operator/pages'
import { Shell } from './Shell'
import { SignIn } from './SignIn'
import { SignedIn, useMay } from './session'
import { pages as store } from './store/pages'

const PAGES = [...marketer, ...store, ...operator].map((page) => ({ ...page, View: lazy(page.load) }))

// a router of this kind can ask before somebody leaves a page with unsaved work
const ROUTER = createBrowserRouter([{ path: '*', element: <Everything /> }], { basename: '/console' })

export function App() {
  return <RouterProvider router={ROUTER} />
}

function Everything() {
  return (
    <Routes>
      <Route path="/invite" element={<Invite />} />
      <Route
        path="*"
        element={
          <SignedIn otherwise={<SignIn />}>
            <Inside />
          </SignedIn>
        }
      />
    </Routes>
  )
}

function Inside() {
  const { t } = useTranslation('shared')
  const may = useMay()
  const allowed = useMemo(() => PAGES.filter((page) => may(page.needs)), [may])
  const home = allowed.find((page) => page.nav && !page.nav.useShown)
  return (
    <Shell pages={allowed}>
      <Suspense fallback={<Loading />}>
        <Routes>
          {home && <Route path="/" element={<Navigate to={`/${home.path}`} replace />} />}
          {allowed.map(({ path, View }) => (
            <Route key={path} path={path} element={<View />} />
          ))}
          <Route path="*" element={<Page title="404">{t('not_found')}</Page>} />
        </Routes>
      </Suspense>
    </Shell>
  )
}
