"""The processor as a service: configuration, storage, and the composition of all parts.

What it holds, what bounds that, and where it is counted what found no room:

=============================  ===============================================  ======================================
what                           bound                                            counted in
=============================  ===============================================  ======================================
requests that wait             256 MiB of each protocol, three quarters of      ``sloburn_receiver_requests_total``,
                               what is free of one sender                       code 429 or UNAVAILABLE
span keys against repeats      ``dedupe_spans`` (8 million, 16 bytes each),     ``sloburn_seen_spans``, ``_bytes``,
                               15 minutes                                       ``_capacity_spans``,
                                                                                ``_horizon_seconds``
metric streams                 100,000, each a day after its last point         ``sloburn_engine_items_total``,
                                                                                "too many streams"
groups of an SLO               200, the rest in one group of their own          the group ``__overflow__``: sums stay
commits in the journal         15 minutes                                       nothing is lost: they are in the counts
what the autopsy knows         2,000 looks for each service and block           the rest without its values: counts stay
bad events with their traces   the newest 20 of each SLO and group              nothing: they only explain
annotations                    the newest 500; 12 versions of a service an      ``sloburn_annotations_dropped_total``
                               hour
readers of the stream          100, none of whom queues anything                ``sloburn_page_streams``,
                                                                                ``_streams_refused_total``,
                                                                                ``_stream_snapshots_skipped_total``
alerts on their way            none waits: what fires is told again             ``sloburn_alertmanager_alerts_total``,
                                                                                its outcome
history of removed SLOs        90 days                                          ``sloburn_removed_slos_forgotten_total``
damaged and older stores       4 and the largest; 2                             a line in the log for each
=============================  ===============================================  ======================================
"""
