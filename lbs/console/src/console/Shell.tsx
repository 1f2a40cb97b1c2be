import { ActionIcon, Anchor, AppShell, Burger, Group, Menu, NavLink, ScrollArea, Text } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconLogout, IconUserCircle } from '@tabler/icons-react'
import { type ReactNode, useEffect } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useLocation } from 'react-router'
import { LanguageMenu, SchemeToggle } from '@/shared/ui/Preferences'
import type { PageOf } from './area'
import { Mark } from './Mark'
import { LookAfter } from './operator/LookAfter'
import { useSession, useSignOut } from './session'

/** The frame of every page: where one is, where one can go, and who one is. */
export function Shell({ pages, children }: { pages: readonly PageOf[]; children: ReactNode }) {
  const { t } = useTranslation(['console', 'shared'])
  const session = useSession()
  const signOut = useSignOut()
  const { pathname } = useLocation()
  const [opened, { toggle, close }] = useDisclosure()
  // the menu of a phone closes when another page opens
  useEffect(close, [pathname, close])
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !opened } }}
      padding={{ base: 'md', sm: 'lg' }}
    >
      <AppShell.Header px="md">
        <Anchor className="skip-link" href="#content">
          {t('shared:skip')}
        </Anchor>
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group wrap="nowrap">
            <Burger
              opened={opened}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={t('menu')}
              aria-expanded={opened}
            />
            <Mark />
            {session.tenant ? (
              <Text size="sm" c="dimmed" truncate visibleFrom="xs">
                {session.tenant.name}
              </Text>
            ) : (
              <LookAfter />
            )}
          </Group>
          <Group gap={0} wrap="nowrap">
            <LanguageMenu />
            <SchemeToggle />
            <Menu position="bottom-end">
              <Menu.Target>
                <ActionIcon variant="subtle" color="gray" size="lg" aria-label={t('account')}>
                  <IconUserCircle aria-hidden />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Label>
                  {session.name || session.email}
                  <br />
                  {t(`role.${session.role}` as never)}
                </Menu.Label>
                <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={() => void signOut()}>
                  {t('sign_out')}
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" aria-label={t('menu')}>
        <ScrollArea>{pages.map(({ path, nav }) => nav && <Way key={path} path={path} nav={nav} />)}</ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        {children}
      </AppShell.Main>
    </AppShell>
  )
}

const always = () => true

function Way({ path, nav }: { path: string; nav: NonNullable<PageOf['nav']> }) {
  const { t } = useTranslation('console')
  const { pathname } = useLocation()
  // of a page it is always the same one
  const { useShown = always } = nav
  if (!useShown()) return null
  return (
    <NavLink
      component={Link}
      to={`/${path}`}
      active={pathname === `/${path}` || pathname.startsWith(`/${path}/`)}
      {...(pathname === `/${path}` ? { 'aria-current': 'page' as const } : {})}
      label={t(nav.label as never)}
      leftSection={<nav.icon size={20} stroke={1.6} aria-hidden />}
      style={{ borderRadius: 'var(--mantine-radius-md)' }}
    />
  )
}
