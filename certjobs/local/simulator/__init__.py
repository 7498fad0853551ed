"""A look-alike of the portal's Web API on this machine, strict where the real one is (extra ``local``).

``server.simulator()`` runs it for a test or the demo; ``command.run()`` is the command ``certjobs simulator``.
"""
