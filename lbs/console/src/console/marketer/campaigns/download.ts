import { notifications } from '@mantine/notifications'
import { api, body } from '@/shared/api/client'
import { type ReportQuery } from './data'

/** The report as a file, asked for as who is signed in. */
export async function download(campaignId: string, query: ReportQuery, name: string) {
  try {
    const text: unknown = await body(
      api.GET('/v1/campaigns/{campaign_id}/report', {
        params: { path: { campaign_id: campaignId }, query: { ...query, format: 'csv' } },
        parseAs: 'text',
      }),
    )
    const url = URL.createObjectURL(new Blob([String(text)], { type: 'text/csv' }))
    const link = document.createElement('a')
    link.href = url
    link.download = name
    link.click()
    URL.revokeObjectURL(url)
  } catch (error) {
    notifications.show({ color: 'red', message: error instanceof Error ? error.message : String(error) })
  }
}
