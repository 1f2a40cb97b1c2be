import { Group, Table, UnstyledButton } from '@mantine/core'
import { IconChevronDown, IconChevronUp, IconSelector } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'

export interface Sorting<C extends string> {
  by: C
  down: boolean
}

/** By which column a table is sorted; the same column again turns it round. */
export function useSorting<C extends string>(first: Sorting<C>) {
  const [sorting, setSorting] = useState(first)
  const sort = (by: C) => setSorting((now) => ({ by, down: now.by === by ? !now.down : by !== 'name' }))
  return { ...sorting, sort }
}

interface Props<C extends string> {
  column: C
  sorting: Sorting<C> & { sort: (by: C) => void }
  right?: boolean
  children: ReactNode
}

export function SortHead<C extends string>({ column, sorting, right, children }: Props<C>) {
  const on = sorting.by === column
  const Arrow = on ? (sorting.down ? IconChevronDown : IconChevronUp) : IconSelector
  return (
    <Table.Th scope="col" aria-sort={on ? (sorting.down ? 'descending' : 'ascending') : 'none'}>
      <UnstyledButton onClick={() => sorting.sort(column)} w="100%" fz="sm" fw={600}>
        <Group gap={4} wrap="nowrap" justify={right ? 'flex-end' : 'flex-start'}>
          {children}
          <Arrow size={14} aria-hidden opacity={on ? 1 : 0.4} />
        </Group>
      </UnstyledButton>
    </Table.Th>
  )
}
