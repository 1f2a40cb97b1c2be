// A list beside a map; on a phone the map above the list.
import { Box, Grid } from '@mantine/core'
import type { ReactNode } from 'react'

/** How high a map is that stands beside a list. */
export const MAP_HEIGHT = 'clamp(260px, 46dvh, 720px)'
export const TALL_MAP = 'max(420px, calc(100dvh - 220px))'

export function Split({ side, map }: { side: ReactNode; map: ReactNode }) {
  return (
    <Grid gap="lg">
      <Grid.Col span={{ base: 12, md: 7, xl: 8 }} order={{ base: 1, md: 2 }}>
        <Box pos={{ base: 'static', md: 'sticky' }} top={72}>
          {map}
        </Box>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 5, xl: 4 }} order={{ base: 2, md: 1 }}>
        {side}
      </Grid.Col>
    </Grid>
  )
}
