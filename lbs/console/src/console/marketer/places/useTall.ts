import { useMediaQuery } from '@mantine/hooks'

/** Whether list and map stand side by side. */
export const useTall = () => useMediaQuery('(min-width: 62em)', true)
