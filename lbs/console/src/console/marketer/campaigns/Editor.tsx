// Writing a campaign: sections of a form, and beside them what it says in plain words and on a phone.
import '@mantine/dates/styles.css'
import 'dayjs/locale/zh-cn'
import { Accordion, Alert, Button, Grid, Group, Stack, Text } from '@mantine/core'
import { DatesProvider } from '@mantine/dates'
import { useForm } from '@mantine/form'
import { notifications } from '@mantine/notifications'
import { useQueryClient } from '@tanstack/react-query'
import { lazy, Suspense, useMemo, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Link, useNavigate, useParams } from 'react-router'
import { api, body, Problem } from '@/shared/api/client'
import { useFormat } from '@/shared/format'
import { Asked, Loading } from '@/shared/ui/Asked'
import { Page } from '@/shared/ui/Page'
import { ProblemNote } from '@/shared/ui/ProblemNote'
import { useMay, useSession } from '../../session'
import { campaignKey, useCampaign, useMove } from './data'
import { forget, kept, LeaveGuard, useKeeping } from './edit/guard'
import { sectionOf, SECTIONS } from './edit/sections'
import { blank, type CampaignView, cleaned, type Draft, draftOf, fieldOf, type Status } from './model'
import { TEXTS } from './texts'

const Aside = lazy(() => import('./edit/Aside').then((found) => ({ default: found.Aside })))

const EDITABLE: readonly Status[] = ['draft', 'submitted', 'approved', 'paused']
const OPEN_AT_FIRST = ['basics', 'where', 'trigger', 'offer', 'words']
/** Of a campaign that says already where it runs: its map is not loaded before somebody wants it. */
const OPEN_OF_STORED = ['basics', 'offer', 'words']

export default function Editor() {
  const { id } = useParams()
  return id === undefined ? <EditorForm key="new" stored={null} /> : <Existing key={id} id={id} />
}

function Existing({ id }: { id: string }) {
  const { t } = useTranslation(TEXTS)
  const query = useCampaign(id, { live: false })
  return (
    <Asked query={query}>
      {(view) =>
        EDITABLE.includes(view.status) ? (
          <EditorForm stored={view} />
        ) : (
          <Page title={view.name}>
            <Alert color="yellow" title={t('edit.not_now', { status: t(`status.${view.status}`) })}>
              <Text size="sm">{t(view.status === 'live' ? 'edit.pause_first' : 'edit.clone_it')}</Text>
              <Button component={Link} to={`/campaigns/${id}`} mt="sm" size="xs" variant="light">
                {t('edit.back_to', { name: view.name })}
              </Button>
            </Alert>
          </Page>
        )
      }
    </Asked>
  )
}

function EditorForm({ stored }: { stored: CampaignView | null }) {
  const { t, i18n } = useTranslation(TEXTS)
  const f = useFormat()
  const may = useMay()
  const { user_id, tenant } = useSession()
  const navigate = useNavigate()
  const client = useQueryClient()
  const move = useMove()
  const key = `${tenant?.tenant_id ?? ''}.${user_id}.${stored?.campaign_id ?? 'new'}`
  const [copy, setCopy] = useState(() => kept(key))
  const [version, setVersion] = useState(copy ? copy.version : (stored?.version ?? null))
  const base = useMemo(() => (stored ? draftOf(stored) : blank()), [stored])
  const [saved, setSaved] = useState(() => JSON.stringify(base))
  const form = useForm<Draft>({ initialValues: copy?.draft ?? base })
  const [opened, setOpened] = useState<string[]>(stored ? OPEN_OF_STORED : OPEN_AT_FIRST)
  const [problem, setProblem] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const [shown, setShown] = useState(0)
  const leaving = useRef(false)
  const top = useRef<HTMLDivElement>(null)
  const dirty = JSON.stringify(form.values) !== saved
  useKeeping(key, form.values, version, dirty && !busy)

  const discard = () => {
    forget(key)
    setCopy(null)
    form.setValues(base)
    setSaved(JSON.stringify(base))
    setVersion(stored?.version ?? null)
  }

  const put = () => {
    const definition = cleaned(form.values)
    if (stored === null) return body(api.POST('/v1/campaigns', { body: definition }))
    const params = { path: { campaign_id: stored.campaign_id }, query: { version } }
    return body(api.PUT('/v1/campaigns/{campaign_id}', { params, body: definition }))
  }

  const save = async ({ submit }: { submit: boolean }) => {
    setBusy(true)
    setProblem(null)
    form.clearErrors()
    try {
      const view =
        stored?.status === 'draft' && !dirty ? { ...stored, version: version ?? stored.version } : await put()
      leaving.current = true
      forget(key)
      setCopy(null)
      setSaved(JSON.stringify(form.values))
      setVersion(view.version)
      client.setQueryData([...campaignKey(view.campaign_id), 'now'], view)
      void client.invalidateQueries({ queryKey: ['campaigns'], refetchType: 'none' })
      if (submit) {
        await move.mutateAsync({ campaignId: view.campaign_id, move: 'submit', version: view.version })
        notifications.show({ message: t('edit.submitted') })
        await navigate(`/campaigns/${view.campaign_id}`)
        return
      }
      notifications.show({ message: t('edit.saved') })
      if (stored === null) await navigate(`/campaigns/${view.campaign_id}/edit`, { replace: true })
      leaving.current = false
    } catch (error) {
      leaving.current = false
      setProblem(error)
      if (error instanceof Problem) {
        const faults = error.errors.map(({ where, message }) => [fieldOf(where), message] as const)
        form.setErrors(Object.fromEntries(faults))
        setOpened((before) => [...new Set([...before, ...faults.map(([field]) => sectionOf(field))])])
      }
      top.current?.scrollIntoView({ block: 'center' })
    } finally {
      setBusy(false)
    }
  }

  const buttons = (
    <>
      <Button variant="default" loading={busy} onClick={() => void save({ submit: false })}>
        {t('edit.save')}
      </Button>
      {may('move_campaign:submit') && (
        <Button loading={busy} onClick={() => void save({ submit: true })}>
          {t('edit.save_submit')}
        </Button>
      )}
    </>
  )

  return (
    <DatesProvider settings={{ locale: i18n.language === 'zh' ? 'zh-cn' : 'en', firstDayOfWeek: 1 }}>
      <Page
        title={form.values.name || t(stored ? 'edit.title' : 'edit.title_new')}
        lead={dirty ? t('edit.unsaved') : stored ? t('edit.version', { version }) : t('edit.lead')}
        actions={buttons}
      >
        <LeaveGuard unsaved={() => dirty && !leaving.current} dirty={dirty} onDiscard={() => forget(key)} />
        <div ref={top}>
          {problem !== null && <ProblemNote error={problem} />}
          {problem instanceof Problem && problem.status === 409 && (
            <Button mt="xs" size="xs" variant="light" onClick={() => window.location.reload()}>
              {t('edit.load_newest')}
            </Button>
          )}
        </div>
        {copy && (
          <Alert color="blue" title={t('edit.restored', { at: f.dateTime(copy.at) })}>
            <Button size="xs" variant="light" onClick={discard}>
              {t('edit.discard')}
            </Button>
          </Alert>
        )}
        {stored && stored.status !== 'draft' && (
          <Alert color="yellow">{t('edit.becomes_draft', { status: t(`status.${stored.status}`) })}</Alert>
        )}
        <Grid gap="lg">
          <Grid.Col span={{ base: 12, lg: 8 }}>
            <Accordion multiple order={2} variant="separated" value={opened} onChange={setOpened} keepMounted={false}>
              {SECTIONS.map(({ name, View, fields }) => (
                <Accordion.Item key={name} value={name}>
                  <Accordion.Control>
                    <Text component="span" fw={600}>
                      {t(`section.${name}`)}
                    </Text>
                    {fields.some((one) => Object.keys(form.errors).some((field) => field.split('.')[0] === one)) && (
                      <Text component="span" size="xs" c="red" ml="xs">
                        {t('edit.look_here')}
                      </Text>
                    )}
                  </Accordion.Control>
                  <Accordion.Panel>
                    <Suspense fallback={<Loading />}>
                      <View form={form} onLook={setShown} />
                    </Suspense>
                  </Accordion.Panel>
                </Accordion.Item>
              ))}
            </Accordion>
            <Group mt="lg" justify="flex-end">
              {buttons}
            </Group>
          </Grid.Col>
          <Grid.Col span={{ base: 12, lg: 4 }}>
            <Stack gap="md" pos="sticky" top={76}>
              <Suspense fallback={<Loading />}>
                <Aside draft={form.values} shown={shown} onShown={setShown} />
              </Suspense>
            </Stack>
          </Grid.Col>
        </Grid>
      </Page>
    </DatesProvider>
  )
}
