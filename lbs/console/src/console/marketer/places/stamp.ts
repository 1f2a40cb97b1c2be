// Tiles are kept by the browser for half a minute; what was just changed here must show at once.
let changes = 0

/** After each change of a store or fence. */
export function changed() {
  changes = Date.now()
}

/** For the address of a tile. */
export const stamp = () => `seen=${changes}`
