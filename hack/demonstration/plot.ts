// SPDX-License-Identifier: Apache-2.0

/** A rectangle of the picture, and the values at its right and upper edge; both axes begin at 0. */
export interface Panel {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** Minutes. */
  readonly xMost: number;
  readonly yMost: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** About `count` round values from 0 to `most`: steps of 1, 2 or 5 times a power of ten. */
export function ticks(most: number, count: number): number[] {
  const rough = most / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) =>
    Number((index * step).toPrecision(6)),
  );
}

/** Grid lines with their numbers; minutes below, where asked for. */
export function axis(panel: Panel, withMinutes: boolean): string[] {
  const horizontal = ticks(panel.yMost, 5).map((value) => {
    const y = round(yOf(panel, value));
    return `<path class="grid" d="M${panel.left} ${y}H${panel.right}"/><text x="${panel.left - 8}" y="${y + 4}" text-anchor="end">${value}</text>`;
  });
  if (!withMinutes) return horizontal;
  const minutes = ticks(panel.xMost, 9).map((value) => {
    const x = round(xOf(panel, value));
    return `<path class="grid" d="M${x} ${panel.bottom}v5"/><text x="${x}" y="${panel.bottom + 20}" text-anchor="middle">${value}</text>`;
  });
  const middle = (panel.left + panel.right) / 2;
  return [
    ...horizontal,
    ...minutes,
    `<text x="${middle}" y="${panel.bottom + 40}" text-anchor="middle">minutes</text>`,
  ];
}

/** Straight lines from point to point. */
export function linePath(panel: Panel, points: readonly Point[]): string {
  return points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${place(panel, x, y)}`).join('');
}

/** Each value holds until the next one; points that change nothing are left out. */
export function stepPath(panel: Panel, points: readonly Point[]): string {
  const [first] = points;
  const last = points.at(-1);
  if (first === undefined || last === undefined) return '';
  let path = `M${place(panel, first.x, first.y)}`;
  let standing = first.y;
  for (const { x, y } of points) {
    if (y === standing) continue;
    path += `H${round(xOf(panel, x))}V${round(yOf(panel, y))}`;
    standing = y;
  }
  return `${path}H${round(xOf(panel, last.x))}`;
}

/** The areas in which `ready` is below `needed`; both have the same times, and each value holds until the next. */
export function shortagePath(panel: Panel, needed: readonly Point[], ready: readonly Point[]): string {
  let path = '';
  for (const [index, { x, y }] of needed.entries()) {
    const until = needed[index + 1]?.x;
    const have = ready[index]?.y ?? y;
    if (until === undefined || have >= y) continue;
    path += `M${place(panel, x, y)}H${round(xOf(panel, until))}V${round(yOf(panel, have))}H${round(xOf(panel, x))}Z`;
  }
  return path;
}

function place(panel: Panel, x: number, y: number): string {
  return `${round(xOf(panel, x))} ${round(yOf(panel, y))}`;
}

function xOf({ left, right, xMost }: Panel, value: number): number {
  return left + ((right - left) * value) / xMost;
}

function yOf({ top, bottom, yMost }: Panel, value: number): number {
  return bottom - ((bottom - top) * value) / yMost;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
