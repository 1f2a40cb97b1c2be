import { describe, expect, it } from 'vitest'
import type { Keep, Tables, Waiting } from './keep'
import { flush, note } from './receipts'
import { isNew, pageOf, read } from './shown'

const DAY_MS = 86_400_000

/** What a phone keeps, in memory. */
function memory(): Keep {
  const tables = { shown: new Map(), receipts: new Map() } as { [T in keyof Tables]: Map<string, Tables[T]> }
  const values = new Map<string, unknown>()
  return {
    get: (name) => Promise.resolve(values.get(name) as never),
    set: (name, value) => Promise.resolve(void values.set(name, value)),
    add: (table, row) => {
      const known = tables[table].has(row.id)
      if (!known) tables[table].set(row.id, row)
      return Promise.resolve(!known)
    },
    all: (table) => Promise.resolve([...tables[table].values()]),
    put: (table, rows) => Promise.resolve(rows.forEach((row) => tables[table].set(row.id, row))),
    remove: (table, ids) => Promise.resolve(ids.forEach((id) => tables[table].delete(id))),
    clear: () => Promise.resolve(values.clear()),
  }
}

describe('messages', () => {
  it('are shown once, and remembered for as long as they could come again', async () => {
    const keep = memory()
    expect([await isNew(keep, 'a', 0), await isNew(keep, 'a', 1), await isNew(keep, 'b', 2)]).toEqual([
      true,
      false,
      true,
    ])
    expect(await isNew(keep, 'a', 28 * DAY_MS)).toBe(false)
    await isNew(keep, 'c', 31 * DAY_MS)
    expect((await keep.all('shown')).map(({ id }) => id)).toEqual(['c'])
  })

  it('are read as our sender writes them', () => {
    const message = { id: 'x', title: 'Coffee', body: '20 %', data: { campaign_id: '3', store_id: '17' } }
    expect(read(JSON.stringify(message))).toEqual(message)
    for (const text of [undefined, '', 'null', '{}', '{"id": 1, "title": "x"}']) expect(read(text)).toBeNull()
  })

  it('lead to their offer', () => {
    const to = (data: Record<string, unknown>) => pageOf({ id: 'x', title: '', body: '', data })
    expect(to({ campaign_id: '3', store_id: '17' })).toBe('/app/offers/17/3')
    expect(to({ campaign_id: '3', store_id: null })).toBe('/app/offers/-/3')
    expect(to({})).toBe('/app/inbox')
  })
})

describe('receipts', () => {
  const told: Waiting[][] = []
  const send = (receipts: readonly Waiting[]) => Promise.resolve(void told.push([...receipts]))

  it('are told once, in the order in which it happened', async () => {
    told.length = 0
    const keep = memory()
    expect(await note(keep, 'm', 'opened', 2_000)).toBe(true)
    expect(await note(keep, 'm', 'delivered', 1_000)).toBe(true)
    expect(await note(keep, 'm', 'opened', 3_000)).toBe(false)
    await flush(keep, send, 4_000)
    await flush(keep, send, 5_000)
    expect(told).toEqual([
      [
        { message_id: 'm', event: 'delivered', at: '1970-01-01T00:00:01.000Z' },
        { message_id: 'm', event: 'opened', at: '1970-01-01T00:00:02.000Z' },
      ],
    ])
    expect(await note(keep, 'm', 'opened', 6_000)).toBe(false)
  })

  it('wait for a network', async () => {
    told.length = 0
    const keep = memory()
    await note(keep, 'm', 'displayed', 1_000)
    await expect(flush(keep, () => Promise.reject(new Error('offline')), 2_000)).rejects.toThrow('offline')
    expect(await flush(keep, send, 3_000)).toBe(1)
    expect(told).toHaveLength(1)
  })

  it('go a hundred at a time, and old ones are forgotten', async () => {
    told.length = 0
    const keep = memory()
    await note(keep, 'old', 'opened', 0)
    for (let number = 0; number < 101; number += 1) await note(keep, `m${number}`, 'displayed', 40 * DAY_MS)
    await flush(keep, send, 40 * DAY_MS)
    expect(told.map((some) => some.length)).toEqual([100, 1])
    expect(await keep.all('receipts')).toHaveLength(101)
  })
})
