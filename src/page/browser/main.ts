// Promises the page put together: one watch over the service, and what shows it.

import { every } from './clock.ts';
import { createHead } from './head.ts';
import { createLists } from './jobs.ts';
import { createLogView } from './log.ts';
import { createOrders } from './orders.ts';
import { createTimeline } from './timeline.ts';
import { createWatch, type Watch } from './watch.ts';

const log = createLogView();
const head = createHead();
const timeline = createTimeline((runner) => log.open(runner));
const orders = createOrders(() => watch.refresh());
const lists = createLists({ log: (runner) => log.open(runner), stop: (runner) => orders.stop(runner) });

const watch: Watch = createWatch({
  connected(connection) {
    head.connected(connection);
    timeline.tick();
  },
  took(picture) {
    document.body.removeAttribute('data-empty');
    head.draw(picture);
    orders.draw(picture.status);
    timeline.draw(picture);
    lists.draw(picture);
  },
});

every(1_000, () => {
  head.tick();
  // Nobody knows how it goes on while the service is away.
  if (document.body.dataset['connection'] !== 'away') lists.tick();
});
every(5_000, () => timeline.tick());
// How long ago a forge answered, and whether that is well, changes without an event.
every(10_000, () => watch.refresh());
