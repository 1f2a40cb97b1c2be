import { Center, Loader } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { ProblemNote } from './ProblemNote'

export function Loading() {
  const { t } = useTranslation('shared')
  return (
    <Center p="xl" role="status" aria-label={t('loading')}>
      <Loader />
    </Center>
  )
}

/** What was asked of the API once it is there; until then a wheel, or what went wrong. */
export function Asked<T>({ query, children }: { query: UseQueryResult<T>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>
  if (query.isError) return <ProblemNote error={query.error} retry={() => void query.refetch()} />
  return <Loading />
}
