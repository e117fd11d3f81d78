package function

func aggregateFunctions() []*Aggregate { return nil }
