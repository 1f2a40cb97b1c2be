import { Button, Text, TextInput, Title } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { keyIn, useMine } from './device'
import { Entry } from './Entry'

/** Nobody said yet whose offers these are: the shop's link does, or what is typed of it. */
export function WhichShop() {
  const { t } = useTranslation('app')
  const { setKey } = useMine()
  const [text, setText] = useState('')
  const [wrong, setWrong] = useState(false)
  const go = (event: FormEvent) => {
    event.preventDefault()
    const key = keyIn(text)
    if (key) void setKey(key)
    else setWrong(true)
  }
  return (
    <Entry>
      <Title order={1} size="h2">
        {t('shop.title')}
      </Title>
      <Text>{t('shop.lead')}</Text>
      <form onSubmit={go} noValidate>
        <TextInput
          label={t('shop.link')}
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value)
            setWrong(false)
          }}
          error={wrong && t('shop.wrong')}
          autoComplete="off"
          spellCheck={false}
          inputMode="url"
        />
        <Button type="submit" mt="md" fullWidth size="md">
          {t('shop.go')}
        </Button>
      </form>
    </Entry>
  )
}
