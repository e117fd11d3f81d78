package expression

import (
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

const issue4239 = "(see https://github.com/confluentinc/ksql/issues/4239)"

func (c *context) exprs(list []ast.Expr) ([]plan.Expr, error) {
	out := make([]plan.Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = c.expr(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *context) makeArray(n *ast.MakeArray) (plan.Expr, error) {
	if len(n.Items) == 0 {
		return nil, diagnostic.At(n.Pos, "Array constructor cannot be empty. Please supply at least one element %s.", issue4239)
	}
	items, err := c.exprs(n.Items)
	if err != nil {
		return nil, err
	}
	items, elem, err := unify(items)
	if err != nil {
		return nil, diagnostic.At(n.Pos, "%v", err)
	}
	if elem.Kind == types.Null {
		return nil, diagnostic.At(n.Pos, "Cannot construct an array with all NULL elements %s. As a workaround, you may cast a NULL value to the desired type.", issue4239)
	}
	return &plan.MakeArray{Items: items, Type: types.TArray(elem)}, nil
}

func (c *context) makeMap(n *ast.MakeMap) (plan.Expr, error) {
	if len(n.Keys) == 0 {
		return nil, diagnostic.At(n.Pos, "Map constructor cannot be empty. Please supply at least one key value pair %s.", issue4239)
	}
	keys, err := c.exprs(n.Keys)
	if err != nil {
		return nil, err
	}
	values, err := c.exprs(n.Values)
	if err != nil {
		return nil, err
	}
	keys, key, err := unify(keys)
	if err != nil {
		return nil, diagnostic.At(n.Pos, "%v", err)
	}
	values, elem, err := unify(values)
	if err != nil {
		return nil, diagnostic.At(n.Pos, "%v", err)
	}
	if key.Kind == types.Null {
		return nil, diagnostic.At(n.Pos, "Cannot construct a map with all NULL keys %s. As a workaround, you may cast a NULL key to the desired type.", issue4239)
	}
	if elem.Kind == types.Null {
		return nil, diagnostic.At(n.Pos, "Cannot construct a map with all NULL values %s. As a workaround, you may cast a NULL value to the desired type.", issue4239)
	}
	return &plan.MakeMap{Keys: keys, Values: values, Type: types.TMap(key, elem)}, nil
}

func (c *context) makeStruct(n *ast.MakeStruct) (plan.Expr, error) {
	out := &plan.MakeStruct{Type: types.Type{Kind: types.Struct}}
	seen := map[string]types.Type{}
	for _, f := range n.Fields {
		v, err := c.expr(f.Value)
		if err != nil {
			return nil, err
		}
		t := v.ResultType()
		if t.Kind == types.Null {
			return nil, diagnostic.At(f.Pos, "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR).")
		}
		if before, ok := seen[f.Name]; ok {
			return nil, diagnostic.At(f.Pos, "Duplicate field names found in STRUCT: '`%s` %s' and '`%s` %s'", f.Name, before, f.Name, t)
		}
		seen[f.Name] = t
		out.Values = append(out.Values, v)
		out.Type.Fields = append(out.Type.Fields, types.Field{Name: f.Name, Type: t})
	}
	return out, nil
}

func (c *context) field(n *ast.FieldOf) (plan.Expr, error) {
	x, err := c.expr(n.X)
	if err != nil {
		return nil, err
	}
	t := x.ResultType()
	if t.Kind != types.Struct {
		return nil, diagnostic.At(n.Pos, "Expected STRUCT type, got: %s", typeName(t))
	}
	for i, f := range t.Fields {
		if f.Name == n.Name {
			return &plan.FieldOf{X: x, Name: n.Name, Index: i, Type: f.Type}, nil
		}
	}
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	e := diagnostic.At(n.Pos, "Could not find field '%s' in '%s'.", n.Name, Text(n.X, c.scope))
	if near := nearest(n.Name, names); near != "" {
		e.Hint = "did you mean " + near + "?"
	}
	return nil, e
}

func (c *context) subscript(n *ast.Subscript) (plan.Expr, error) {
	x, index, err := c.pair(n.X, n.Index)
	if err != nil {
		return nil, err
	}
	t := x.ResultType()
	switch t.Kind {
	case types.Array:
		k := index.ResultType().Kind
		if k != types.Integer && k != types.Bigint && k != types.Null {
			return nil, c.lateError(n.Index.Position(), "The index of an array must be INTEGER or BIGINT, but "+Text(n.Index, c.scope)+" is "+index.ResultType().String())
		}
		return &plan.Subscript{X: x, Index: index, Type: *t.Elem}, nil
	case types.Map:
		key, ok := Coerce(index, *t.Key)
		if !ok {
			return nil, c.lateError(n.Index.Position(), "The key of "+Text(n.X, c.scope)+" is "+t.Key.String()+", but "+Text(n.Index, c.scope)+" is "+index.ResultType().String())
		}
		return &plan.Subscript{X: x, Index: key, Type: *t.Elem}, nil
	}
	return nil, diagnostic.At(n.Pos, "Subscript expression (%s) do not apply to %s.", Text(n, c.scope), typeName(t))
}
