// SPDX-License-Identifier: Apache-2.0
import type { Lifetime } from './lifetime.ts';
import { observe } from './observe.ts';
import { liveHeader, liveLine } from './report.ts';
import type { Observation, Sizing } from './score.ts';
import { namespace } from './stage.ts';
import type { Stage } from './stage.ts';

const lookMs = 2500;
const lineSeconds = 15;

/** Looks at the cluster every 2.5 s for `minutes`, and prints a line every 15 s. @throws Interrupted */
export async function runShow(
  stage: Stage,
  options: {
    readonly minutes: number;
    readonly sizing: Sizing;
    readonly lifetime: Lifetime;
    readonly print: (line: string) => void;
  },
): Promise<Observation[]> {
  const { lifetime, print, sizing } = options;
  const observations: Observation[] = [];
  const startMs = Date.now();
  print(liveHeader);
  for (let look = 0, lines = 0; look * lookMs <= options.minutes * 60_000; look += 1) {
    await lifetime.sleep(Math.max(0, startMs + look * lookMs - Date.now()));
    const state = await lifetime.step(() => observe(stage.kube, namespace));
    const atSeconds = Date.now() / 1000;
    const observation = { atSeconds, demand: stage.load.demandAt(atSeconds), ...state };
    observations.push(observation);
    if (look * lookMs < lines * lineSeconds * 1000) continue;
    print(liveLine(observation, startMs / 1000, sizing));
    lines += 1;
  }
  return observations;
}
