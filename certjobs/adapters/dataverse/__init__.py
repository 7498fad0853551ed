"""The public listing in Microsoft Dataverse, spoken to by its Web API."""
