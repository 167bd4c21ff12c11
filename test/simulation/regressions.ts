// Promises the worlds that once broke a promise, as scripts: a seed changes its meaning whenever the stream of chance does. Each says what
// it showed.

import type { Stage } from './call.ts';
import type { SimJob } from './forge-world.ts';
import type { Scene } from './simulate.ts';

export type Regression = { readonly showed: string; readonly scene: Scene };

const quiet = { seed: 1, controllers: 1, rough: false, lengthMs: 60_000 };
const labels = ['debian'];

/** Happens as soon as the job runs. */
function onceRunning(stage: Stage, job: SimJob, happen: () => void): void {
  stage.schedule.after(5, () => (job.state === 'running' ? happen() : onceRunning(stage, job, happen)));
}

export const regressions: readonly Regression[] = [
  {
    showed: 'a job that was handed out between the last look at its runner and the stop was failed by that stop',
    scene: {
      ...quiet,
      script(stage) {
        stage.weather.odds.late = 1;
        const first = stage.forge.queue({ repositoryId: 1, lengthMs: 50_000, labels: ['elsewhere'], group: 'deploy' });
        stage.forge.poach(first);
        stage.forge.queue({ repositoryId: 1, lengthMs: 5_000, labels, group: 'deploy' });
      },
    },
  },
  {
    showed: 'a forge that has just come back calls a working runner idle; its machine was taken for one whose job somebody else had',
    scene: {
      ...quiet,
      script(stage) {
        const job = stage.forge.queue({ repositoryId: 1, lengthMs: 45_000, labels });
        onceRunning(stage, job, () => stage.forge.goDown(20_000));
      },
    },
  },
  {
    showed: 'the same while the repository is out of sight: the machine was taken for one whose job is gone',
    scene: {
      ...quiet,
      script(stage) {
        const job = stage.forge.queue({ repositoryId: 1, lengthMs: 45_000, labels });
        onceRunning(stage, job, () => {
          stage.schedule.after(5_000, () => stage.forge.hide(1, 50_000));
          stage.schedule.after(15_000, () => stage.forge.goDown(15_000));
        });
      },
    },
  },
  {
    showed: 'a machine died while the list was empty in error; its registration was given back and its job left to the zombie clock',
    scene: {
      ...quiet,
      script(stage) {
        const job = stage.forge.queue({ repositoryId: 1, lengthMs: 30_000, labels });
        onceRunning(stage, job, () => {
          stage.weather.cast('lists empty', 4_000);
          const died = [...stage.host.machines.values()].find((machine) => machine.job === job);
          stage.schedule.after(1_500, () => stage.host.strike(died?.spec.id ?? '', false));
        });
      },
    },
  },
];
