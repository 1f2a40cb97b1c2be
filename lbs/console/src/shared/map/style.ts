// Our own base map: the countries of Natural Earth (public domain, in the package world-atlas) in quiet colours. It needs no
// server but ours; a map style of somebody else's can be set in its place. Texts are drawn with the reader's own fonts.
import type { FeatureCollection } from 'geojson'
import type { StyleSpecification } from 'maplibre-gl'
import { feature, mesh } from 'topojson-client'
import type { GeometryCollection, Topology } from 'topojson-specification'
import countriesUrl from 'world-atlas/countries-50m.json?url'

type Countries = Topology<{ countries: GeometryCollection; land: GeometryCollection }>

const COLOURS = {
  light: { water: '#dbe7ee', land: '#f7f6f3', border: '#cfd4d8' },
  dark: { water: '#17212b', land: '#242a31', border: '#3a434d' },
} as const

/** What labels are written with: any font of the reader's machine. */
export const FONT = ['sans-serif']

let world: Promise<{ land: FeatureCollection; borders: FeatureCollection }> | undefined

async function loadWorld() {
  const topology = (await (await fetch(countriesUrl)).json()) as Countries
  const land = feature(topology, topology.objects.land)
  const borders = mesh(topology, topology.objects.countries, (a, b) => a !== b)
  return {
    land: (land.type === 'FeatureCollection'
      ? land
      : { type: 'FeatureCollection', features: [land] }) as FeatureCollection,
    borders: {
      type: 'FeatureCollection',
      features: [{ type: 'Feature', properties: {}, geometry: borders }],
    } as FeatureCollection,
  }
}

export async function ownStyle(scheme: 'light' | 'dark'): Promise<StyleSpecification> {
  world ??= loadWorld()
  const { land, borders } = await world
  const colours = COLOURS[scheme]
  return {
    version: 8,
    sources: {
      land: { type: 'geojson', data: land, tolerance: 0.3, attribution: 'Natural Earth' },
      borders: { type: 'geojson', data: borders },
    },
    layers: [
      { id: 'water', type: 'background', paint: { 'background-color': colours.water } },
      // a coast drawn for a whole country is wrong in a street: closer in, all is land
      {
        id: 'land',
        type: 'fill',
        source: 'land',
        maxzoom: 10,
        paint: { 'fill-color': colours.land, 'fill-antialias': true },
      },
      { id: 'ground', type: 'background', minzoom: 10, paint: { 'background-color': colours.land } },
      { id: 'borders', type: 'line', source: 'borders', maxzoom: 10, paint: { 'line-color': colours.border } },
    ],
  }
}
