// The camera: by the browser's own reader where it has one (Chrome on phones), else by a small one of ours.
import { Alert, Box, Text } from '@mantine/core'
import { IconCameraOff } from '@tabler/icons-react'
import decode from 'qr/decode.js'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'

const EVERY_MS = 150
/** Enough to read a code that fills a third of the picture, and quick on an old tablet. */
const WIDTH_PX = 640

type Look = (video: HTMLVideoElement) => Promise<string | null>

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>
}
interface DetectorKind {
  new (options: { formats: string[] }): Detector
  getSupportedFormats(): Promise<string[]>
}

async function reader(): Promise<Look> {
  const Kind = (window as { BarcodeDetector?: DetectorKind }).BarcodeDetector
  if (Kind && (await Kind.getSupportedFormats()).includes('qr_code')) {
    const detector = new Kind({ formats: ['qr_code'] })
    return async (video) => (await detector.detect(video))[0]?.rawValue ?? null
  }
  const canvas = document.createElement('canvas')
  const context = canvas.getContext('2d', { willReadFrequently: true })
  return (video) => {
    if (!context) return Promise.resolve(null)
    canvas.width = Math.min(WIDTH_PX, video.videoWidth)
    canvas.height = Math.round((canvas.width * video.videoHeight) / video.videoWidth)
    context.drawImage(video, 0, 0, canvas.width, canvas.height)
    try {
      return Promise.resolve(decode(context.getImageData(0, 0, canvas.width, canvas.height)))
    } catch {
      return Promise.resolve(null) // no code in the picture
    }
  }
}

type Trouble = 'none' | 'denied' | 'insecure' | 'failed'

function troubleOf(error: unknown): Trouble {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'none'
  return name === 'NotAllowedError' ? 'denied' : 'failed'
}

export default function Scan({ onText }: { onText: (text: string) => void }) {
  const { t } = useTranslation('store')
  const video = useRef<HTMLVideoElement>(null)
  const tell = useRef(onText)
  tell.current = onText
  const [trouble, setTrouble] = useState<Trouble | null>(navigator.mediaDevices ? null : 'insecure')

  useEffect(() => {
    let gone = false
    let stream: MediaStream | undefined
    const watch = async () => {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' }, audio: false })
      const shown = video.current
      if (gone || shown === null) return stream.getTracks().forEach((track) => track.stop())
      shown.srcObject = stream
      await shown.play()
      const look = await reader()
      while (!gone) {
        const text = shown.videoWidth > 0 ? await look(shown) : null
        if (text && !gone) return tell.current(text)
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
      }
    }
    if (navigator.mediaDevices) watch().catch((error: unknown) => !gone && setTrouble(troubleOf(error)))
    return () => {
      gone = true
      stream?.getTracks().forEach((track) => track.stop())
    }
  }, [])

  if (trouble) {
    return (
      <Alert mt="md" color="yellow" role="alert" icon={<IconCameraOff aria-hidden />}>
        {t(`scan.${trouble}`)}
      </Alert>
    )
  }
  return (
    <Box mt="md">
      <video
        ref={video}
        muted
        playsInline
        aria-label={t('scan.picture')}
        style={{
          width: '100%',
          maxHeight: 320,
          objectFit: 'cover',
          borderRadius: 'var(--mantine-radius-md)',
          background: '#000',
        }}
      />
      <Text size="sm" c="dimmed" role="status">
        {t('scan.hint')}
      </Text>
    </Box>
  )
}
