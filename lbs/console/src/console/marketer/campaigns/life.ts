// The life of a campaign, as far as pages need it: which step fits which state.
import { type Move } from './data'
import { type Status } from './model'

export const STEPS: Record<Status, readonly Move[]> = {
  draft: ['submit', 'archive'],
  submitted: ['approve', 'reject', 'withdraw', 'archive'],
  approved: ['pause', 'stop'],
  live: ['pause', 'stop'],
  paused: ['resume', 'stop'],
  ended: ['archive'],
  archived: ['unarchive'],
}

export const COLOURS: Record<Status, string> = {
  draft: 'gray',
  submitted: 'blue',
  approved: 'cyan',
  live: 'green',
  paused: 'yellow',
  ended: 'gray',
  archived: 'gray',
}

/** The operation of the API that a step is. */
export const operationOf = (move: Move): string => (move === 'reject' ? 'reject_campaign' : `move_campaign:${move}`)

export const GROUPS = ['current', 'draft', 'submitted', 'live', 'paused', 'ended', 'archived'] as const
export type StateGroup = (typeof GROUPS)[number]

/** Whether a campaign belongs to a group of the list; what is approved but not begun yet counts with what is live. */
export function belongs(status: Status, group: StateGroup): boolean {
  if (group === 'current') return status !== 'archived'
  return status === group || (group === 'live' && status === 'approved')
}
