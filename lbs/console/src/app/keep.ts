// What the app keeps on this phone, shared by its pages and its service worker. IndexedDB, because a worker has no localStorage.
import type { Schemas } from '@/shared/api/client'

export interface Device {
  id: string
  token: string
}

/** A receipt that waits to be sent. */
export interface Waiting {
  message_id: string
  event: 'delivered' | 'displayed' | 'opened' | 'dismissed'
  at: string
}

/** Single values by name. */
export interface Values {
  /** The publishable key of the tenant. */
  key: string
  device: Device
  /** The id of the stream's last event. */
  last_event: string
  /** Messages that were put away here. */
  dismissed: string[]
  /** Claims that can still be used, with their codes: a shop may have no network. */
  claims: Record<string, { claim: Schemas['ClaimView']; qr?: string }>
}

/** Tables of things by their id. */
export interface Tables {
  /** Messages that were shown as notifications. */
  shown: { id: string; at: number }
  /** Receipts by message and event, told or still to tell: none is told twice. */
  receipts: { id: string; at: number; waiting: Waiting | null }
}

export interface Keep {
  get<K extends keyof Values>(name: K): Promise<Values[K] | undefined>
  set<K extends keyof Values>(name: K, value: Values[K]): Promise<void>
  /** Whether it was new. Two that add the same at once: one of them hears yes. */
  add<T extends keyof Tables>(table: T, row: Tables[T]): Promise<boolean>
  all<T extends keyof Tables>(table: T): Promise<Tables[T][]>
  put<T extends keyof Tables>(table: T, rows: readonly Tables[T][]): Promise<void>
  remove<T extends keyof Tables>(table: T, ids: readonly string[]): Promise<void>
  /** All of it is gone. */
  clear(): Promise<void>
}

const NAME = 'lbs'
const STORES = ['values', 'shown', 'receipts'] as const

function done(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
  })
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

let opened: Promise<IDBDatabase> | undefined
function database(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore('values')
      request.result.createObjectStore('shown', { keyPath: 'id' })
      request.result.createObjectStore('receipts', { keyPath: 'id' })
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => {
      opened = undefined
      reject(request.error)
    }
  })
  return opened
}

async function store(name: (typeof STORES)[number], mode: IDBTransactionMode) {
  const transaction = (await database()).transaction(name, mode)
  return { transaction, rows: transaction.objectStore(name) }
}

export const keep: Keep = {
  async get(name) {
    return answer((await store('values', 'readonly')).rows.get(name))
  },
  async set(name, value) {
    const { transaction, rows } = await store('values', 'readwrite')
    rows.put(value, name)
    await done(transaction)
  },
  async add(table, row) {
    const { transaction, rows } = await store(table, 'readwrite')
    const known = await answer(rows.getKey(row.id))
    if (known === undefined) rows.add(row)
    await done(transaction)
    return known === undefined
  },
  async all(table) {
    return answer((await store(table, 'readonly')).rows.getAll())
  },
  async put(table, changed) {
    const { transaction, rows } = await store(table, 'readwrite')
    for (const row of changed) rows.put(row)
    await done(transaction)
  },
  async remove(table, ids) {
    const { transaction, rows } = await store(table, 'readwrite')
    for (const id of ids) rows.delete(id)
    await done(transaction)
  },
  async clear() {
    const transaction = (await database()).transaction(STORES, 'readwrite')
    for (const name of STORES) transaction.objectStore(name).clear()
    await done(transaction)
  },
}
