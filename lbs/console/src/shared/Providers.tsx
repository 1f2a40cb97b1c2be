import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import './page.css'
import { MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { QueryClientProvider } from '@tanstack/react-query'
import { type ReactNode, StrictMode } from 'react'
import './i18n'
import { queryClient } from './query'
import { theme } from './theme'

/** What every page of ours stands in: colours, texts, questions to the API, notices. */
export function Providers({ children }: { children: ReactNode }) {
  return (
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={queryClient}>
          <Notifications position="bottom-center" />
          {children}
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>
  )
}
