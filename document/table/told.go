package table

import "context"

// NewsOf returns what [Table.News] does, each as what of makes of it. Where of finds one damaged
// it reports false, and whole is true: who reads all then hears what is wrong, and what else is
// new is not lost.
func NewsOf[T any](ctx context.Context, t *Table, of func(*News) (T, bool)) (news []T, whole bool, err error) {
	told, whole, err := t.News(ctx)
	if err != nil || whole {
		return nil, whole, err
	}
	for i := range told {
		next, ok := of(&told[i])
		if !ok {
			return nil, true, nil
		}
		news = append(news, next)
	}
	return news, false, nil
}
