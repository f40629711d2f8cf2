// SPDX-License-Identifier: Apache-2.0

/** FNV-1a (Fowler, Noll, Vo), 32 bits, over UTF-16 code units; another basis gives another hash. */
export function fnv1a(text: string, basis = 0x811c9dc5): number {
  let value = basis;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  }
  return value;
}

/** A hash of any JSON value, whatever the order of its keys: 14 characters of 0-9 and a-z. */
export function hashJson(value: unknown): string {
  const text = canonicalJson(value);
  const [high, low] = [fnv1a(text), fnv1a(text, 0x9e3779b9)];
  return high.toString(36).padStart(7, '0') + low.toString(36).padStart(7, '0');
}

/** JSON with sorted keys. */
function canonicalJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    ) ?? ''
  );
}
