// Files that the API answers with, saved as the browser saves downloads.
import { problemOf, sessionHeaders } from './client'

/** Asks for a file as who is signed in and saves it; a Problem if the API refuses. */
export async function download(path: string, name: string): Promise<void> {
  const response = await fetch(path, { headers: sessionHeaders() })
  if (!response.ok) throw await problemOf(response)
  save(await response.blob(), name)
}

export function save(content: Blob, name: string) {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  // the browser has taken it by then
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

/** What a spreadsheet would take for the beginning of a formula. */
const FORMULA = /^[=+\-@\t\r\n]/

/** CSV (RFC 4180) of a table that is here already; text is never run as a formula. */
export function asCsv(rows: readonly (readonly (string | number | null)[])[]): Blob {
  const cell = (value: string | number | null) => {
    if (value === null) return ''
    if (typeof value === 'number') return String(value)
    const text = FORMULA.test(value) ? `'${value}` : value
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return new Blob([rows.map((row) => row.map(cell).join(',') + '\r\n').join('')], { type: 'text/csv' })
}
