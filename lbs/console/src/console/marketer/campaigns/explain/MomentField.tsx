// A day and a time, in nobody's zone: which is meant, its description says. Loaded when it is asked for.
import { DatesProvider, DateTimePicker } from '@mantine/dates'
import '@mantine/dates/styles.css'
import 'dayjs/locale/zh-cn'
import { useTranslation } from 'react-i18next'

interface Props {
  label: string
  description: string
  placeholder: string
  value: string | null
  onChange: (value: string | null) => void
}

export default function MomentField(props: Props) {
  const { i18n } = useTranslation()
  return (
    <DatesProvider settings={{ locale: i18n.language === 'zh' ? 'zh-cn' : 'en', firstDayOfWeek: 1 }}>
      <DateTimePicker clearable {...props} />
    </DatesProvider>
  )
}
