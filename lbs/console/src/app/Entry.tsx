// The frame of what comes before the app itself.
import { Container, Group, Stack } from '@mantine/core'
import type { ReactNode } from 'react'
import { LanguageMenu, SchemeToggle } from '@/shared/ui/Preferences'

export function Entry({ children }: { children: ReactNode }) {
  return (
    <Container size={480} py="md" component="main">
      <Group justify="space-between" mb="lg">
        <img src="/app/icon.svg" alt="" width={44} height={44} />
        <Group gap={0}>
          <LanguageMenu />
          <SchemeToggle />
        </Group>
      </Group>
      <Stack gap="lg">{children}</Stack>
    </Container>
  )
}
