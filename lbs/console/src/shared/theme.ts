import { createTheme, type MantineColorsTuple } from '@mantine/core'

const teal: MantineColorsTuple = [
  '#effcf9',
  '#d5f5ee',
  '#a8e9dc',
  '#74d6c5',
  '#43bdaa',
  '#23a190',
  '#148376',
  '#0f766e',
  '#0d5f59',
  '#0c4a46',
]

/** Our colours where no component of the library knows them: on maps and in charts. */
export const INK = {
  place: '#0f766e',
  offer: '#f59e0b',
  fence: '#6366f1',
  usual: '#94a3b8',
  fresh: '#0ea5e9',
  back: '#8b5cf6',
} as const

export const theme = createTheme({
  primaryColor: 'brand',
  primaryShade: { light: 7, dark: 6 },
  colors: { brand: teal },
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif',
  headings: { fontWeight: '650' },
  defaultRadius: 'md',
  autoContrast: true,
  cursorType: 'pointer',
  respectReducedMotion: true,
})
