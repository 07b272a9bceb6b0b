"""Detection over large data sets: one shard of the results after another, on one machine or a cluster.

| module | does |
|---|---|
| `plan` | groups the listed items into shards, and tells which are done |
| `work` | computes one shard: reads, detects, writes |
| `engines` | who works: this process, or workers on a Ray cluster (`ray_engine`) |
| `lock` | keeps two runs out of one output |
| `run` | the whole run: settings, progress, counts, faults |

A shard is complete or absent, and its metadata states its items: that alone is the state of a run. Whatever process
ends, the next run with `resume` lists the items again and computes the shards that are absent.
"""
