import { Button, Group, Paper, TextInput } from '@mantine/core'
import { IconCamera, IconKeyboard } from '@tabler/icons-react'
import { lazy, Suspense, useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Loading } from '@/shared/ui/Asked'
import { LENGTH, read, shown } from './codes'
import type { Step } from './steps'

const Scan = lazy(() => import('./Scan'))

interface Props {
  step: Step
  pending: boolean
  onCode: (code: string) => void
}

/** Where a code is typed or scanned. What cannot be a code is told at once, and asks nothing of the server. */
export function CodeField({ step, pending, onCode }: Props) {
  const { t } = useTranslation('store')
  const [text, setText] = useState('')
  const [tried, setTried] = useState(false)
  const [scanning, setScanning] = useState(false)
  const field = useRef<HTMLInputElement>(null)
  const found = read(text)

  // whoever stands at a till begins with a code; and whatever ended, the next one may come
  useEffect(() => {
    if (step.at !== 'prepared') field.current?.focus()
  }, [step])

  const use = (code: string) => {
    setText('')
    setTried(false)
    setScanning(false)
    onCode(code)
  }
  const wrong =
    found.state === 'wrong'
      ? t(`code.${found.why}`)
      : tried && found.state === 'short'
        ? t('code.short', { count: LENGTH - found.code.length })
        : null
  return (
    <Paper withBorder p="md">
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (found.state === 'code') use(found.code)
          else {
            setTried(true)
            field.current?.select()
          }
        }}
      >
        <Group align="flex-start" gap="sm">
          <TextInput
            ref={field}
            label={t('code.label')}
            description={t('code.hint')}
            size="lg"
            flex="1 1 240px"
            autoComplete="off"
            autoCapitalize="characters"
            spellCheck={false}
            value={text}
            error={wrong}
            onChange={(event) => {
              setText(event.currentTarget.value)
              setTried(false)
            }}
            styles={{ input: { fontFamily: 'ui-monospace, monospace', letterSpacing: '0.06em' } }}
          />
        </Group>
        <Group mt="sm" gap="sm">
          <Button type="submit" size="lg" loading={pending} flex="1 1 130px">
            {t('code.look')}
          </Button>
          <Button
            size="lg"
            variant="default"
            flex="0 1 auto"
            leftSection={scanning ? <IconKeyboard aria-hidden /> : <IconCamera aria-hidden />}
            aria-expanded={scanning}
            onClick={() => {
              setScanning(!scanning)
              if (scanning) field.current?.focus()
            }}
          >
            {t(scanning ? 'scan.stop' : 'scan.start')}
          </Button>
        </Group>
      </form>
      {scanning && (
        <Suspense fallback={<Loading />}>
          <Scan
            onText={(seen) => {
              const code = read(seen)
              if (code.state === 'code') use(code.code)
              else setText(shown(seen.slice(0, 2 * LENGTH)))
            }}
          />
        </Suspense>
      )}
    </Paper>
  )
}
