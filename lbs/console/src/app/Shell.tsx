import { Alert, Anchor, AppShell, Container, Group, Indicator, Text, UnstyledButton } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { IconDiscount, IconInbox, IconMapPin, IconTicket, IconUser, IconWifiOff } from '@tabler/icons-react'
import { type ReactNode, useCallback, useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useLocation, useNavigate } from 'react-router'
import { useReach } from '@/shared/api/reach'
import { LanguageMenu, SchemeToggle } from '@/shared/ui/Preferences'
import { useDevice } from './device'
import { type Message, tell, useMessages, useStream } from './inbox'
import { offerPath } from './offers'
import { SharingButton } from './Sharing'
import classes from './Shell.module.css'

const TABS = [
  { path: '/', under: '/offers', label: 'tabs.nearby', icon: IconMapPin },
  { path: '/inbox', under: '/inbox', label: 'tabs.inbox', icon: IconInbox },
  { path: '/claims', under: '/claims', label: 'tabs.claims', icon: IconTicket },
  { path: '/me', under: '/me', label: 'tabs.me', icon: IconUser },
] as const

/** The frame of every page: where one can go, whether there is a network, and what arrives meanwhile. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useTranslation('app')
  const online = useReach()
  const { pathname } = useLocation()
  useArrivals()
  useOpening()

  useEffect(() => {
    window.scrollTo(0, 0)
  }, [pathname])

  return (
    <AppShell header={{ height: 52 }} footer={{ height: { base: 'calc(60px + env(safe-area-inset-bottom))', sm: 0 } }}>
      <AppShell.Header>
        <Anchor className="skip-link" href="#content">
          {t('shared:skip')}
        </Anchor>
        <Container size={960} h="100%" px="md">
          <Group h="100%" justify="space-between" wrap="nowrap">
            <Group gap="xs" wrap="nowrap">
              <img src="/app/icon.svg" alt="" width={28} height={28} />
              <Text fw={650}>{t('name')}</Text>
            </Group>
            <Tabs className={classes.top} />
            <Group gap={0} wrap="nowrap">
              <SharingButton />
              <LanguageMenu />
              <SchemeToggle />
            </Group>
          </Group>
        </Container>
      </AppShell.Header>
      <AppShell.Main id="content" tabIndex={-1}>
        <Container size={960} px="md" py="md">
          <div role="status">
            {!online && (
              <Alert color="yellow" mb="md" icon={<IconWifiOff aria-hidden />} p="xs">
                {t('offline')}
              </Alert>
            )}
          </div>
          {children}
        </Container>
      </AppShell.Main>
      <AppShell.Footer hiddenFrom="sm">
        <Tabs className={classes.bottom} />
      </AppShell.Footer>
    </AppShell>
  )
}

function Tabs({ className }: { className: string | undefined }) {
  const { t } = useTranslation('app')
  const { pathname } = useLocation()
  const unread = useMessages().filter((one) => !one.opened).length
  return (
    <nav aria-label={t('tabs.label')} className={className}>
      {TABS.map(({ path, under, label, icon: Icon }) => {
        const here = pathname === path || pathname === under || pathname.startsWith(`${under}/`)
        const count = path === '/inbox' ? unread : 0
        return (
          <UnstyledButton
            key={path}
            component={Link}
            to={path}
            className={classes.tab ?? ''}
            data-here={here || undefined}
            {...(here ? { 'aria-current': 'page' as const } : {})}
            {...(count ? { 'aria-label': t('tabs.unread', { count }) } : {})}
          >
            <Indicator label={count} size={16} disabled={count === 0} color="red.8" offset={2}>
              <Icon size={22} stroke={1.7} aria-hidden />
            </Indicator>
            <span>{t(label)}</span>
          </UnstyledButton>
        )
      })}
    </nav>
  )
}

/** Says what arrives while the app is open. */
function useArrivals() {
  const { t } = useTranslation('app')
  const device = useDevice()
  const navigate = useNavigate()
  useStream(
    useCallback(
      (message: Message) => {
        notifications.show({
          // the same message told twice is shown once
          id: message.message_id,
          title: message.title,
          icon: <IconDiscount size={18} aria-hidden />,
          autoClose: 12_000,
          withCloseButton: true,
          closeButtonProps: { 'aria-label': t('shared:close') },
          message: (
            <>
              <Text size="sm">{message.body}</Text>
              <Anchor
                component="button"
                size="sm"
                onClick={() => {
                  notifications.hide(message.message_id)
                  void navigate(offerPath(message.data))
                }}
              >
                {t('inbox.look')}
              </Anchor>
            </>
          ),
        })
        if (document.visibilityState === 'visible') void tell(device, message.message_id, 'displayed')
      },
      [device, navigate, t],
    ),
  )
}

/** A notification that was clicked leads to its page in the window that is open already. */
function useOpening() {
  const navigate = useNavigate()
  useEffect(() => {
    const told = (event: MessageEvent) => {
      const path: unknown = (event.data as { open?: unknown } | null)?.open
      if (typeof path === 'string' && path.startsWith('/app/')) void navigate(path.slice('/app'.length))
    }
    navigator.serviceWorker?.addEventListener('message', told)
    return () => navigator.serviceWorker?.removeEventListener('message', told)
  }, [navigate])
}
