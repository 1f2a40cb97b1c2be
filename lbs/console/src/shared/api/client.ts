// The API as its OpenAPI document describes it: types are generated from it, so a call that it does not know will not compile.
import createClient, { type Middleware } from 'openapi-fetch'
import { noteReach } from './reach'
import type { components, paths } from './schema'

export type Schemas = components['schemas']

/** What the API answered instead of what was asked for (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** The last part of `type`, a word for programs; `unreachable` if nothing answered. */
    readonly slug: string,
    readonly title: string,
    readonly detail: string,
    /** What is wrong with which field of the request. */
    readonly errors: readonly { where: string; message: string }[] = [],
    readonly requestId: string | null = null,
    /** Of `refused`: why, as a word for programs. */
    readonly reason: string | null = null,
    /** When to ask again, if the API said. */
    readonly retryAfterS: number | null = null,
  ) {
    super(detail || title)
  }
}

export interface Tenant {
  tenant_id: string
  name: string
}

const KEPT = 'lbs.tenant'
let tenant = JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') as Tenant | null

/** Which tenant an operator of the installation looks after, in this tab; nobody else names one. */
export function lookAfter(chosen: Tenant | null) {
  tenant = chosen
  if (chosen === null) sessionStorage.removeItem(KEPT)
  else sessionStorage.setItem(KEPT, JSON.stringify(chosen))
}

export function lookedAfter(): Tenant | null {
  return tenant
}

/** What every request of the session carries, also those that others make for us (tiles, files). */
export function sessionHeaders(): Record<string, string> {
  return tenant === null ? {} : { 'LBS-Tenant': tenant.tenant_id }
}

const guard: Middleware = {
  onRequest({ request }) {
    for (const [name, value] of Object.entries(sessionHeaders())) request.headers.set(name, value)
    return request
  },
  async onResponse({ response }) {
    noteReach(true)
    if (!response.ok) throw await problemOf(response)
    return undefined
  },
  onError({ error }) {
    if (error instanceof Problem) return error
    if (!(error instanceof DOMException && error.name === 'AbortError')) noteReach(false)
    return new Problem(0, 'unreachable', 'unreachable', error instanceof Error ? error.message : String(error))
  },
}

export async function problemOf(response: Response): Promise<Problem> {
  const body = await response.json().catch(() => ({}))
  return new Problem(
    response.status,
    String(body.type ?? '')
      .split('/')
      .pop() || 'unknown',
    String(body.title ?? response.statusText),
    String(body.detail ?? ''),
    Array.isArray(body.errors) ? body.errors : [],
    typeof body.request_id === 'string' ? body.request_id : null,
    typeof body.reason === 'string' ? body.reason : null,
    Number(response.headers.get('Retry-After')) || null,
  )
}

/** Asks as who is signed in (the session's cookie). Every answer that is not 2xx is thrown as a Problem. */
export const api = createClient<paths>({ baseUrl: window.location.origin })
api.use(guard)

/** Asks with a key or a device token. */
export function apiWith(key: string) {
  const client = createClient<paths>({
    baseUrl: window.location.origin,
    headers: { Authorization: `Bearer ${key}` },
    credentials: 'omit',
  })
  client.use({ onResponse: guard.onResponse, onError: guard.onError } as Middleware)
  return client
}

/** The body of an answer: with a Problem thrown for everything else, it is there. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<Json<T>> {
  const { data } = await answer
  return data as Json<T>
}

/** Routes that answer files too are asked for files by other means. */
type Json<T> = Exclude<NonNullable<T>, string>

/** All pages of a list, up to `most` items. */
export async function everything<T>(
  page: (cursor: string | undefined) => Promise<{ items: T[]; next_cursor?: string | null }>,
  most = 10_000,
): Promise<T[]> {
  const items: T[] = []
  let cursor: string | undefined
  do {
    const found = await page(cursor)
    items.push(...found.items)
    cursor = found.next_cursor ?? undefined
  } while (cursor && items.length < most)
  return items
}
