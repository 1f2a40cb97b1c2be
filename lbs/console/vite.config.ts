// Two pages, the console of the staff and the app of the shoppers, served by `lbs api` from /console/ and /app/.
// Their scripts lie together under /console/assets/, named by their content. The app's service worker: worker.config.ts.
import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const api = process.env.LBS_API_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@': path('src') } },
  build: {
    assetsDir: 'console/assets',
    // tells worker.config.ts which files the app needs
    manifest: true,
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
    rollupOptions: {
      input: {
        console: path('console/index.html'),
        app: path('app/index.html'),
      },
    },
  },
  server: { proxy: { '/v1': api } },
})
