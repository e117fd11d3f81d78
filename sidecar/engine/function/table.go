package function

func tableFunctions() []*Table { return nil }
func scalarFamilies() []*Scalar { return nil }
