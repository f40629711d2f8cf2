// SPDX-License-Identifier: Apache-2.0
import { axis, linePath, shortagePath, stepPath } from './plot.ts';
import type { Panel, Point } from './plot.ts';
import type { Recording } from './recording.ts';
import { neededPods, twins } from './score.ts';
import type { Observation, Twin } from './score.ts';

const width = 960;
const height = 620;
const left = 66;
const right = 20;

/** Colours that people with any colour vision can tell apart (Okabe and Ito), for a light and a dark page. */
const style = `
  svg { color-scheme: light dark; }
  text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .page { fill: #ffffff; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
  .demand { stroke: #57606a; } .demand-area { fill: #57606a; fill-opacity: .12; }
  .forecast { stroke: #007a5a; stroke-dasharray: 6 4; }
  .published { stroke: #9a4f96; stroke-width: 1.6; }
  .reactive { stroke: #d55e00; } .reactive-area { fill: #d55e00; fill-opacity: .28; }
  .predictive { stroke: #0072b2; } .predictive-area { fill: #0072b2; fill-opacity: .28; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .page { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .demand { stroke: #9da7b3; } .demand-area { fill: #9da7b3; fill-opacity: .18; }
    .forecast { stroke: #2fd3a2; } .published { stroke: #d79bd3; }
    .reactive { stroke: #ff8f3f; } .reactive-area { fill: #ff8f3f; fill-opacity: .34; }
    .predictive { stroke: #56b4e9; } .predictive-area { fill: #56b4e9; fill-opacity: .34; }
  }`;

interface LegendEntry {
  readonly kind: string;
  readonly label: string;
}

/** The recording as an SVG that needs nothing else: above the demand and its forecast, below the pods of both. */
export function drawRecording(recording: Recording): string {
  const { observations } = recording;
  const start = observations[0]?.atSeconds ?? 0;
  // The last look comes milliseconds too early for a whole minute.
  const minutes = Math.ceil(((observations.at(-1)?.atSeconds ?? start) - start) / 60 - 0.05);
  const [title, description] = texts(recording);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="t d">`,
    `<title id="t">${escape(title)}</title>`,
    `<desc id="d">${escape(description)}</desc>`,
    `<style>${style}\n</style>`,
    `<rect class="page" width="${width}" height="${height}" rx="8"/>`,
    ...demandPanel(recording, { start, minutes }),
    ...podsPanel(recording, { start, minutes }),
    '</svg>\n',
  ].join('\n');
}

interface Span {
  readonly start: number;
  readonly minutes: number;
}

function panel(top: number, bottom: number, most: number, minutes: number): Panel {
  return { left, right: width - right, top, bottom, xMost: Math.max(minutes, 1), yMost: Math.max(most, 1) * 1.05 };
}

function demandPanel({ observations }: Recording, { start, minutes }: Span): string[] {
  const at = (seconds: number): number => (seconds - start) / 60;
  const demand = observations.map(({ atSeconds, demand: y }) => ({ x: at(atSeconds), y }));
  const withForecast = observations.flatMap(({ atSeconds, forecast }) =>
    forecast === undefined ? [] : [{ atSeconds, forecast }],
  );
  // The forecast is drawn at the time that it is for, which may be after the end.
  const forecast = withForecast
    .map(({ atSeconds, forecast: { leadSeconds, atLead } }) => ({ x: at(atSeconds + leadSeconds), y: atLead }))
    .filter(({ x }) => x <= minutes);
  const published = withForecast.map(({ atSeconds, forecast: { published: y } }) => ({ x: at(atSeconds), y }));
  const most = Math.max(0, ...[...demand, ...forecast, ...published].map(({ y }) => y));
  const box = panel(64, 280, most, minutes);
  const area = `${linePath(box, demand)}L${box.right} ${box.bottom}L${box.left} ${box.bottom}Z`;
  return [
    `<text class="title" x="${left}" y="28">Demand, requests per second</text>`,
    ...legend(50, [
      { kind: 'demand', label: 'demand' },
      { kind: 'forecast', label: 'median forecast, made one lead time before' },
      { kind: 'published', label: 'predicted_demand, for the minutes ahead' },
    ]),
    ...axis(box, false),
    `<path class="demand-area" d="${area}"/>`,
    `<path class="line published" d="${stepPath(box, published)}"/>`,
    `<path class="line demand" d="${linePath(box, demand)}"/>`,
    `<path class="line forecast" d="${linePath(box, forecast)}"/>`,
  ];
}

function podsPanel(recording: Recording, { start, minutes }: Span): string[] {
  const { observations, sizing } = recording;
  const series = (y: (observation: Observation) => number): Point[] =>
    observations.map((observation) => ({ x: (observation.atSeconds - start) / 60, y: y(observation) }));
  const needed = series(({ demand }) => neededPods(demand, sizing));
  const ready = (twin: Twin): Point[] => series((observation) => observation[twin].ready);
  const most = Math.max(0, ...[needed, ready('reactive'), ready('predictive')].flat().map(({ y }) => y));
  const box = panel(366, 572, most, minutes);
  return [
    `<text class="title" x="${left}" y="330">Ready pods</text>`,
    ...legend(352, [
      { kind: 'demand', label: 'needed' },
      { kind: 'predictive', label: 'with predicted_demand' },
      { kind: 'reactive', label: 'without; filled: pods missing' },
    ]),
    ...axis(box, true),
    ...twins.map((twin) => `<path class="${twin}-area" d="${shortagePath(box, needed, ready(twin))}"/>`),
    `<path class="line demand" d="${stepPath(box, needed)}"/>`,
    ...twins.map((twin) => `<path class="line ${twin}" d="${stepPath(box, ready(twin))}"/>`),
  ];
}

function legend(y: number, entries: readonly LegendEntry[]): string[] {
  let x = left;
  return entries.map(({ kind, label }) => {
    const item = `<path class="line ${kind}" d="M${x} ${y - 4}h26"/><text x="${x + 32}" y="${y}">${escape(label)}</text>`;
    x += 32 + label.length * 7 + 24;
    return item;
  });
}

function texts({ load, scores, startedAt, controlPlane }: Recording): [string, string] {
  const { reactive, predictive } = scores;
  const [without, withForecast] = [reactive, predictive].map((score) => score.deficientPodMinutes.toFixed(1));
  return [
    'Demand, its forecast, and the ready pods of two identical Deployments, one of which scales on predicted_demand',
    `Measured at ${startedAt} on a control plane of kind ${controlPlane}; load: ${load}. ` +
      `Without predicted_demand ${without} pod-minutes were missing at ${reactive.podHours.toFixed(2)} pod-hours, ` +
      `with it ${withForecast} at ${predictive.podHours.toFixed(2)}.`,
  ];
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
