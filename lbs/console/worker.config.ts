// The service worker, after the pages: one file without imports, which every browser takes, that knows what they are made of.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig, type Manifest } from 'vite'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const manifest = JSON.parse(readFileSync(path('dist/.vite/manifest.json'), 'utf8')) as Manifest

/** Maps need more than the rest together, and a network to be of use. */
const LEFT_OUT = /Map|h3-js/

function shell(): string[] {
  const wanted = new Set<string>()
  const files = new Set<string>()
  const visit = (name: string) => {
    const chunk = manifest[name]
    if (!chunk || wanted.has(name) || LEFT_OUT.test(name)) return
    wanted.add(name)
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(`/${file}`)
    for (const next of [...(chunk.imports ?? []), ...(chunk.dynamicImports ?? [])]) visit(next)
  }
  visit('app/index.html')
  return [...files].sort()
}

export default defineConfig({
  publicDir: false,
  define: { __SHELL__: JSON.stringify(shell()) },
  build: {
    emptyOutDir: false,
    target: 'es2022',
    reportCompressedSize: false,
    rollupOptions: {
      input: path('src/app/service-worker.ts'),
      // its place decides which pages a service worker looks after, and its name must not change
      output: { format: 'iife', entryFileNames: 'app/service-worker.js' },
    },
  },
})
