// What a shape would become: asked of the API while one draws.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { api, body, Problem, type Schemas } from '@/shared/api/client'
import { understood } from './said'
import { type Place, type Shape, toBody } from './shape'

export type Preview = Schemas['PreviewAnswer']

export function usePreview(shape: Shape | null) {
  return useQuery({
    queryKey: ['fence-preview', shape],
    enabled: shape !== null,
    retry: false,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      body(api.POST('/v1/fences/preview', { signal, body: shape === null ? {} : toBody(shape) })),
  })
}

export const crossingOf = (error: unknown): Place | null => {
  const said = error instanceof Problem ? understood(error.detail) : null
  return said?.kind === 'crosses' ? said.at : null
}
