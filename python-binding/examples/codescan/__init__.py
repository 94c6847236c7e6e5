"""A code scanner that spreads its files over all cores, without a lock.

The path of a file through the package:

    sources -> reading -> outline -> complexity, rules, fingerprint -> FileFacts
                                                    (``analysis`` joins these)
    FileFacts -> PackageTotals and Shards (``totals``) -> Report (``report``)

Everything up to ``FileFacts`` needs one file and nothing else.  Only the last
step shares data between files, and there are three ways of doing it, which
all have to give the same report:

* ``sequential``: one loop;
* ``by_hand``: bare threads, the files dealt out in advance;
* ``behaviours``: boc, with the shared data in cowns.
"""
