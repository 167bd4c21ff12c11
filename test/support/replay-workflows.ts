// Promises the workflow files that the recorded server had, as far as its answers show them.

export const ci = `name: ci
"on":
    push:
        branches: [main]
    workflow_dispatch:
jobs:
    build:
        runs-on: docker
        steps:
            - run: echo hello
`;
export const needs = `name: "n"
"on": [workflow_dispatch]
jobs:
    a: { runs-on: docker, steps: [{ run: echo a }] }
    b: { needs: a, runs-on: docker, steps: [{ run: echo b }] }
    c: { needs: [a, b], runs-on: [docker, gpu], steps: [{ run: echo c }] }
`;
export const matrix = `name: m
"on": [workflow_dispatch]
jobs:
    t:
        strategy: { matrix: { l: [docker, gpu], n: [1, 2] } }
        runs-on: \${{ matrix.l }}
        steps: [{ run: echo t }]
`;
export const concurrency = `name: c
"on": [workflow_dispatch]
concurrency: { group: deploy }
jobs:
    d: { runs-on: docker, steps: [{ run: echo d }] }
`;
export const quick = `name: quick
"on": [workflow_dispatch]
jobs:
    h: { runs-on: docker, steps: [{ run: echo quick }] }
`;
