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
          {/* the rest waits its turn; a pointer that rests on one does not keep the others */}
          <Notifications position="bottom-center" limit={2} pauseResetOnHover="notification" />
          {children}
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>
  )
}
