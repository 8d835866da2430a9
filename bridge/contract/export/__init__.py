"""The published contract: JSON Schemas, the AsyncAPI document and golden samples. The daemon does not import it.

What the schemas promise, and what not:

- There are two sets of push types. `contract/pushes.py` has the few fields by which every push is read, and their
  values are checked. `export/pushes.py` adds every other field that the venue documents, with a description and without
  a type: these fields are passed on unread, and a schema that promised more than is checked would be untrue at the
  first undocumented value.
- The schemas are open for readers and closed for callers. A reader's schema allows fields, reasons, causes and session
  events to come, and so do the types of the code (`enums.ExtensibleEnum`). An `outcome` is one of the listed ones,
  because its meaning decides about money. A command's schema and the bridge agree about the form of a command
  (hypothesis compares the two), but for what a schema cannot express: what depends on the clock or on other commands, a
  key that stands twice, `5.0` for `5`; and but for a MARKET BUY of SPOT by `orderQty`, which the released schema allows
  and the venue never did.
- The patterns have no look-ahead, though those of the code have: Go and Rust have none. The text beside a pattern says
  what the look-ahead excludes.
- Generators of code read the schemas too, and understand less than validators. So the type is at the root, constants
  are under `if` and never under `then`, milliseconds are `int64`, and no pattern is under `allOf`.
- The AsyncAPI document contains its schemas, in the dialect of AsyncAPI (Draft 7): it would carry a schema of 2020-12
  along, and no tool would check it.
- A test compares `schemas/` with what is written here, byte for byte. `tests/contract/released.json` is the contract of
  the last release: additions to it pass, and every other difference fails by name (`tests/support/breaking.py`, and
  `additive.py` for a schema), also where a schema says the same in another way. `make released` makes the contract of
  today the released one; it is a part of a release, and never of a change.
"""
