// SPDX-License-Identifier: Apache-2.0

/** The memory of every typed array in plain data, each once: what may be transferred to another thread. */
export function buffersOf(data: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  collect(data, found);
  return [...found];
}

function collect(data: unknown, found: Set<ArrayBuffer>): void {
  if (typeof data !== 'object' || data === null) return;
  if (ArrayBuffer.isView(data)) {
    if (data.buffer instanceof ArrayBuffer) found.add(data.buffer);
    return;
  }
  for (const value of Object.values(data)) collect(value, found);
}
