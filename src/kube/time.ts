// SPDX-License-Identifier: Apache-2.0

/** metav1.MicroTime, which must have six digits: `2026-10-18T06:00:00.123000Z`. */
export function microTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}
