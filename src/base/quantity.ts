// SPDX-License-Identifier: Apache-2.0
import { invalidInput } from './errors.ts';

const suffixes: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};
const pattern = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)$/;

/** Largest value that survives the HPA's int64 milli arithmetic. */
const maxMilli = Number.MAX_SAFE_INTEGER;

/**
 * The number in a Kubernetes Quantity (apimachinery/pkg/api/resource/quantity.go): `500m`, `2`, `1.5Gi`, `1e3`.
 * @throws HeadstartError InvalidInput, naming `where`
 */
export function parseQuantity(text: string, where: string): number {
  const match = pattern.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * scale(match[2], match[3]);
  if (!Number.isFinite(value)) throw invalidInput(where, text, 'a Kubernetes quantity such as 50, 500m, 1.5k or 2Gi');
  return value;
}

function scale(exponent: string | undefined, suffix: string | undefined): number {
  return exponent === undefined ? (suffixes[suffix ?? ''] ?? Number.NaN) : 10 ** Number(exponent);
}

/**
 * A non-negative number as a Quantity in integer milli (`12500m`), rounded up as the HPA's MilliValue() does, so
 * that what is served is exactly what is read.
 * @throws HeadstartError InvalidInput for NaN, negative and infinite values: unknown must never become a number
 */
export function formatMilli(value: number): string {
  // A value such as 12.3 * 1000 = 12300.000000000002 must not be rounded up to the next milli.
  const milli = Math.ceil(value * 1000 - 1e-6);
  if (!(milli >= 0 && milli <= maxMilli))
    throw invalidInput('metric value', value, `a number from 0 to ${maxMilli / 1000}`);
  return `${milli === 0 ? 0 : milli}m`;
}
