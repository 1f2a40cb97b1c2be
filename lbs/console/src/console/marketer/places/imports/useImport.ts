// One file on its way: sent, read, written; asked after until it is over.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, type Schemas } from '@/shared/api/client'
import { changed } from '../stamp'
import { type Kind, type Mapping, mapText } from './mapping'

export type Import = Schemas['ImportView']

export interface Options {
  kind: Kind
  file: File
  /** Null: no fences about stores. */
  radiusM: number | null
  profile: 'standard' | 'plain'
  mapping: Mapping
  dryRun: boolean
}

const ASKED_EVERY_MS = 1_000
const OVER: readonly Import['state'][] = ['done', 'failed', 'interrupted']
export const isOver = (found: Import) => OVER.includes(found.state)

function send({ kind, file, radiusM, profile, mapping, dryRun }: Options): Promise<Import> {
  const given = {
    // the file goes as it is
    body: file as never,
    bodySerializer: (content: unknown) => content as never,
    headers: { 'Content-Type': 'application/octet-stream' },
  }
  const query = { profile, dry_run: dryRun, map: mapText(mapping) }
  return kind === 'fences'
    ? body(api.POST('/v1/imports/fences', { ...given, params: { query } }))
    : body(
        api.POST('/v1/imports/stores', {
          ...given,
          params: { query: radiusM === null ? query : { ...query, fence_radius_m: radiusM } },
        }),
      )
}

/** `found` is null until the API has the file. */
export function useImport() {
  const client = useQueryClient()
  const sending = useMutation({ mutationFn: send })
  const id = sending.data?.import_id ?? null
  const asking = useQuery({
    queryKey: ['import', id],
    enabled: id !== null,
    initialData: sending.data,
    staleTime: 0,
    queryFn: async ({ signal }) => {
      const found = await body(
        api.GET('/v1/imports/{import_id}', { signal, params: { path: { import_id: id ?? '' } } }),
      )
      if (isOver(found) && !found.dry_run) {
        changed()
        void client.invalidateQueries({ queryKey: ['places'] })
      }
      return found
    },
    refetchInterval: ({ state }) => (state.data === undefined || isOver(state.data) ? false : ASKED_EVERY_MS),
  })
  const found: Import | null = id === null ? null : (asking.data ?? null)
  return {
    start: sending.mutate,
    forget: sending.reset,
    found,
    sent: sending.variables ?? null,
    busy: sending.isPending || (found !== null && !isOver(found)),
    error: sending.error ?? asking.error,
  }
}
